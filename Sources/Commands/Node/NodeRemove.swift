import APIClient
import ArgumentParser
import Wire

/// `baton node remove`.
struct NodeRemove: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "remove",
    abstract: "Take a machine out of the inventory. Refused while a lease holds it.",
    discussion: Help.examples("baton node remove n1"),
    aliases: ["delete", "rm"])

  @Argument(help: "Its name or id.")
  var node: String

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      let view = try await client.removeNode(node)
      try context.show(view) { "\(view.name) is out of the inventory" }
    }
  }
}
