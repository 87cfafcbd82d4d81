import APIClient
import ArgumentParser
import Domain
import Foundation
import Wire

/// `baton data add`.
struct DataAdd: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "add",
    abstract: "Bring a folder or a file into the store, as a version of a data set.",
    discussion: "Only content that the store does not have is sent. The same content twice is one version.\n\n"
      + Help.examples("baton data add mnist ./mnist", "baton data add corpus /scratch/corpus --source 'crawl of May'"))

  @Argument(help: "Its name: [a-z0-9][a-z0-9._-]*, at most 64.")
  var name: String

  @Argument(help: "A folder or a file on this machine.", completion: .file())
  var path: String

  @Option(help: "Where it came from, for people. (default: host and path)")
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
      let origin =
        source ?? "\(ProcessInfo.processInfo.hostName):\(URL(fileURLWithPath: path).standardizedFileURL.path)"
      let view = try await DataUpload(client: client, console: context.console)
        .run(name: name, path: path, source: origin)
      try context.show(view) {
        "\(view.name) version \(view.version)\(view.existed ? " (it was there already)" : ""): "
          + "\(counted(view.objects, "file")), \(view.total), content \(view.contentID.prefix(12))"
      }
    }
  }
}
