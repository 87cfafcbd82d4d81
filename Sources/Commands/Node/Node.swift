import ArgumentParser

/// `baton node`.
struct Node: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "node",
    abstract: "The machines: add, look at, take out.",
    subcommands: [
      NodeAdd.self, NodeList.self, NodeShow.self, NodeCheckCommand.self, NodeDrain.self, NodeUndrain.self,
      NodeRemove.self,
    ])
}
