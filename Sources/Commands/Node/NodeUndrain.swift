import APIClient
import ArgumentParser
import Wire

/// `baton node undrain`.
struct NodeUndrain: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "undrain", abstract: "Let new work on a node again.",
    discussion: Help.examples("baton node undrain n1"))

  @Argument(help: "Its name or id.")
  var node: String

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      let view = try await client.undrainNode(node)
      try context.show(view) { "\(view.name) takes work again" }
    }
  }
}
