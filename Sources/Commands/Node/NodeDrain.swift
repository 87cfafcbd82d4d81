import APIClient
import ArgumentParser
import Wire

/// `baton node drain`.
struct NodeDrain: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "drain",
    abstract: "Keep new work off a node; what runs on it goes on.",
    discussion: Help.examples("baton node drain n1 --reason 'fan of GPU 2 is loud'"))

  @Argument(help: "Its name or id.")
  var node: String

  @Option(help: "Why, for people.")
  var reason: String?

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      let view = try await client.drainNode(node, reason: reason)
      try context.show(view) { "\(view.name) is drained: nothing new starts on it" }
    }
  }
}
