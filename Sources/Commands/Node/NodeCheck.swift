import APIClient
import ArgumentParser
import Wire

/// `baton node check`.
struct NodeCheckCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Try each step of reaching a node, and say which one fails.",
    discussion: Help.examples("baton node check n1"))

  @Argument(help: "Its name or id.")
  var node: String

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      try Self.show(try await client.checkNode(node), context)
    }
  }

  /// Prints what was found; fails where a step failed.
  static func show(_ check: NodeCheck, _ context: Context) throws {
    try context.show(check) { context.table(NodeText.check(check), empty: "nothing was tried") }
    guard check.steps.allSatisfy(\.passed) else { throw CommandFailure(.foundTrouble) }
  }
}
