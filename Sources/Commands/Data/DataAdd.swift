import APIClient
import ArgumentParser
import Domain
import Foundation
import Wire

/// `baton data add`.
struct DataAdd: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "add",
    abstract: "Make a folder, a file, or what is in the site's object store a version of a data set.",
    discussion: """
      Of a folder or a file only content that the store does not have is sent. Objects below s3://BUCKET/PREFIX or \
      swift://CONTAINER/PREFIX stay where they are, and are read there: the version is what they are now, and one that is \
      replaced later is refused by name. Adding again finds what changed; the same content twice is one version.

      \(Help.examples(
        "baton data add mnist ./mnist", "baton data add corpus /scratch/corpus --source 'crawl of May'",
        "baton data add imagenet swift://imagenet/train"))
      """)

  @Argument(help: "Its name: [a-z0-9][a-z0-9._-]*, at most 64.")
  var name: String

  @Argument(
    help: "A folder or a file on this machine, or s3://BUCKET/PREFIX, swift://CONTAINER/PREFIX.", completion: .file())
  var path: String

  @Option(help: "Where it came from, for people. (default: host and path, or the location)")
  var source: String?

  @OptionGroup var global: GlobalOptions

  func validate() throws {
    let letters = name.unicodeScalars
    let isPlain = letters.allSatisfy {
      ("a"..."z").contains($0) || ("0"..."9").contains($0) || "._-".unicodeScalars.contains($0)
    }
    guard isPlain, letters.count <= 64, let first = letters.first, !"._-".unicodeScalars.contains(first) else {
      throw ValidationError(
        "'\(name)' is no name for a data set: use a-z, 0-9, '.', '_', '-', at most 64, as in mnist-5k")
    }
  }

  func run() async throws {
    try await global.withClient { client, context in
      let view = try await add(client, context)
      let newest = view.existed ? try await client.dataset(name).items.map(\.version).max() : nil
      try context.show(view) { Self.text(view, newest: newest) }
    }
  }

  private func add(_ client: BatonClient, _ context: Context) async throws -> DatasetView {
    guard path.contains("://") else {
      let origin =
        source ?? "\(ProcessInfo.processInfo.hostName):\(URL(fileURLWithPath: path).standardizedFileURL.path)"
      return try await DataUpload(client: client, console: context.console)
        .run(name: name, path: path, source: origin)
    }
    let board = BoardPrinter("listing", context.console)
    defer { board.end() }
    return try await client.addInPlace(DatasetInPlaceRequest(name: name, location: path, source: source)) {
      board.show($0)
    }
  }

  /// What was added, for people; `newest` is told where nothing was new.
  static func text(_ view: DatasetView, newest: Int?) -> String {
    let what = "\(counted(view.objects, "file")), \(view.total), content \(view.contentID.prefix(12))"
    guard view.existed else {
      return "\(view.name) version \(view.version): \(what)" + (view.changes.map { " (\($0))" } ?? "")
    }
    let note = newest.map { newest in
      newest == view.version ? "" : "; jobs use version \(newest) unless they name this one"
    }
    return "\(view.name) version \(view.version) (unchanged, it was there already): \(what)\(note ?? "")"
  }
}
