import APIClient
import ArgumentParser
import Domain
import Wire

/// `baton data stage`.
struct DataStage: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "stage",
    abstract: "Bring a data set to all nodes of a lease now, before any job asks for it.",
    discussion: """
      Nodes give each other what they have, so that each byte comes from the store once. Stopped with Ctrl-C, it goes on \
      where it was when it is asked for again. What was staged stays until the lease ends, or until `baton data evict`.
      The exit status is 1 where a node could not be brought all of it.

      \(Help.examples("baton data stage imagenet --lease week", "baton data stage imagenet --lease week --mode shards"))
      """)

  @Argument(help: "Its name.")
  var name: String

  @Option(help: "The lease, by name or id.")
  var lease: String

  @OptionGroup var version: VersionOption

  @Option(
    help: "What each node gets: copy, shard (its part) or shards (the tars of a packed one). (default: copy)",
    transform: Checked.stagingMode)
  var mode: StagingMode?

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      let board = BoardPrinter("staging", context.console)
      let report = try await client.stage(name, StageRequest(lease: lease, version: version.version, mode: mode)) {
        board.show($0)
      }
      board.end()
      try context.show(report) { Self.text(report, context) }
      guard report.isComplete else { throw CommandFailure(.foundTrouble) }
    }
  }

  /// A report for people.
  static func text(_ report: StageReport, _ context: Context) -> String {
    var table = Table([
      .init("NODE"), .init("IN PLACE", isRight: true), .init("TOOK", isRight: true), .init("PROBLEM", wraps: true),
    ])
    for node in report.nodes {
      table.add([
        .init(node.node), node.failure == nil ? "\(node.bytes)" : "-",
        node.failure == nil ? "\(TimeSpan.seconds((node.took.seconds * 10).rounded() / 10))" : "-",
        .init(node.failure ?? "", .red),
      ])
    }
    return "\(report.name) version \(report.version) on lease \(report.lease)\n"
      + context.table(table, empty: "it has no nodes")
  }
}

/// Which version of a data set.
struct VersionOption: ParsableArguments {
  @Option(help: "Its number. (default: the newest)")
  var version: Int?

  func validate() throws {
    if let version, version < 1 { throw ValidationError("--version \(version): versions are counted from 1") }
  }
}
