import APIClient
import ArgumentParser
import Wire

/// `baton node list`.
struct NodeList: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the machines.",
    discussion: Help.examples("baton node list", "baton nodes --json"))

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      let nodes = try await client.nodes()
      try context.show(nodes) {
        context.table(
          NodeText.table(nodes.items, context.times(nodes.now)),
          empty: "no nodes: add one with `baton node add`, or try `baton lab up`")
      }
    }
  }
}
