import APIClient
import ArgumentParser
import Domain
import Wire

/// `baton data evict`.
struct DataEvict: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evict",
    abstract: "Remove copies of a data set from nodes. What a job uses stays.",
    discussion: """
      The objects in the store are left alone: the next who needs the data has it brought again. A person at a terminal \
      is asked; without a terminal nothing is done unless --yes is given. The exit status is 1 where something stays.

      \(Help.examples("baton data evict imagenet", "baton data evict imagenet --node n3 --yes"))
      """)

  @Argument(help: "Its name.")
  var name: String

  @Option(help: ArgumentHelp("Only this version. (default: all)", valueName: "number"))
  var version: Int?

  @Option(help: "Only from this node, by name or id.")
  var node: String?

  @Option(help: "Only from the nodes of this lease, by name or id.")
  var lease: String?

  @Flag(name: [.short, .long], help: "Do not ask.")
  var yes = false

  @OptionGroup var global: GlobalOptions

  func validate() throws {
    if node != nil, lease != nil { throw ValidationError("say --node or --lease, not both") }
  }

  func run() async throws {
    try await global.withClient { client, context in
      if !yes { try confirm(context) }
      let report = try await client.evict(name, EvictRequest(version: version, node: node, lease: lease))
      try context.show(report) { Self.text(report, context) }
      guard report.isComplete else { throw CommandFailure(.foundTrouble) }
    }
  }

  private func confirm(_ context: Context) throws {
    guard context.console.canAsk else {
      throw CommandFailure(.usage, "Nothing was done: say --yes where copies are to be removed.")
    }
    let place = node.map { "node \($0)" } ?? lease.map { "the nodes of lease \($0)" } ?? "all nodes"
    guard context.console.ask("Remove the copies of '\(Printable.line(name))' from \(Printable.line(place))?") else {
      throw CommandFailure(.tryLater, "nothing was done")
    }
  }

  /// A report for people.
  static func text(_ report: EvictReport, _ context: Context) -> String {
    var table = Table([
      .init("NODE"), .init("REMOVED", isRight: true), .init("FREED", isRight: true), .init("IN USE", isRight: true),
      .init("PROBLEM", wraps: true),
    ])
    for node in report.nodes {
      table.add([
        .init(node.node), "\(node.removed)", "\(node.bytes)", .init("\(node.inUse)", node.inUse > 0 ? .yellow : nil),
        .init(node.failure ?? "", .red),
      ])
    }
    return context.table(table, empty: "no node holds anything of it")
  }
}
