import APIClient
import ArgumentParser
import Domain
import Foundation
import ObjectStorage
import Wire

/// `baton run code`.
struct RunCode: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "code",
    abstract: "Fetch the code that a run was made of into a fresh folder, checked against its hash.",
    discussion: Help.examples("baton run code 17", "baton run code 17 --into /tmp/as-it-was"))

  @Argument(help: "Its id, as in 17 or run-17.")
  var run: String

  @Option(help: ArgumentHelp("The folder, which must not be there yet. (default: run-N)", valueName: "folder"))
  var into: String?

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      let view = try await client.run(run)
      guard let code = view.provenance.source.code else {
        throw CommandFailure(
          .badInput, "\(view.id) has no captured code: it was not submitted from a git work tree, or with --no-code")
      }
      let folder = into ?? "\(view.id)"
      guard !FileManager.default.fileExists(atPath: folder) else {
        throw CommandFailure(.conflict, "\(folder) is there already: name a fresh folder with --into")
      }
      let files = try await Self.fetch(code, of: run, client)
      do {
        try CodeArchive.unpack(files, to: folder)
      } catch {
        throw CommandFailure(.tryLater, "cannot write into \(folder): \(error)")
      }
      try context.show(code) {
        "\(counted(code.files, "file")) in \(folder); the job file lay in "
          + (code.folder.isEmpty ? "its root" : Printable.line(code.folder))
          + (code.leftOut.isEmpty
            ? "" : "; \(counted(code.leftOut.count, "file")) of the work tree had not been captured")
      }
    }
  }

  /// The files of a run's code, whose tar has the hash that was written down.
  private static func fetch(
    _ code: CodeCapture, of run: String, _ client: BatonClient
  ) async throws -> [CodeArchive.File] {
    var bytes: [UInt8] = []
    for try await piece in try await client.code(ofRun: run) { bytes += piece }
    guard CodeArchive.sha256(of: bytes) == code.sha256 else {
      throw CommandFailure(.foundTrouble, "what came is not the code that was captured: its hash is another")
    }
    do {
      return try CodeArchive.files(of: bytes)
    } catch {
      throw CommandFailure(.foundTrouble, "the captured code cannot be unpacked: \(error)")
    }
  }
}
