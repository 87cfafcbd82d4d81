import APIClient
import ArgumentParser
import Domain
import Wire

/// `baton data pack`.
struct DataPack: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pack",
    abstract: "Write a data set of many small files as tar shards, once, so that staging it is fast.",
    discussion: """
      WebDataset's layout: files that share a name up to its first dot lie side by side. Jobs that name the data set use \
      the shards by themselves: with mode copy they are unpacked into plain files, with mode shards the tars are left. \
      Stopped, it goes on behind the last whole shard when it is asked for again.

      \(Help.examples("baton data pack imagenet", "baton data pack imagenet --shard-size 1GiB"))
      """)

  @Argument(help: "Its name.")
  var name: String

  @OptionGroup var version: VersionOption

  @Option(
    help: ArgumentHelp("About how large a shard becomes. (default: 256MiB)", valueName: "size"),
    transform: Checked.bytes)
  var shardSize: ByteCount?

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      let board = BoardPrinter("packing", context.console)
      let pack = try await client.pack(name, PackRequest(version: version.version, shardBytes: shardSize)) {
        board.show($0)
      }
      board.end()
      try context.show(pack) {
        "\(name): \(counted(pack.shards, "shard")), \(pack.bytes)"
          + (pack.existed ? ", packed before by \(Printable.line(pack.by))" : "")
      }
    }
  }
}
