import APIClient
import ArgumentParser
import Domain
import Foundation
import Wire

/// `baton checkpoint download`.
struct CheckpointDownload: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "download",
    abstract: "Bring a checkpoint into a new folder, verified; stopped anywhere, the same command goes on from there.",
    discussion: Help.examples("baton checkpoint download 42", "baton checkpoint download 42 ./weights")
      + "\n\nThe bytes come through the server: no credentials of the object store are needed here.")

  @Argument(help: "Its id, as in 42 or checkpoint-42.")
  var checkpoint: String

  @Argument(help: "The folder to make. (default: checkpoint-42 here)")
  var folder: String?

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      let files = try await client.files(of: checkpoint)
      let target = URL(fileURLWithPath: folder ?? "\(files.checkpoint)").standardizedFileURL.path
      let download = CheckpointDownloader(client: client, console: context.console)
      try await download.run(files, to: target)
      try context.show(DownloadResult(folder: target, files: files)) {
        "\(files.checkpoint): \(counted(files.files.entries.count, "file")), \(files.files.total), verified, in \(target)"
      }
    }
  }

  /// What `--json` prints.
  struct DownloadResult: Encodable {
    var folder: String
    var files: CheckpointFiles
  }
}
