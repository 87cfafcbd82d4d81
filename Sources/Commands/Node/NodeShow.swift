import APIClient
import ArgumentParser

/// `baton node show`.
struct NodeShow: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Show one machine.", discussion: Help.examples("baton node show n1"))

  @Argument(help: "Its name or id.")
  var node: String

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      let view = try await client.node(node)
      try context.show(view) { context.facts(NodeText.facts(view, context.times())) }
    }
  }
}
