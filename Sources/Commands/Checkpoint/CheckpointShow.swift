import APIClient
import ArgumentParser

/// `baton checkpoint show`.
struct CheckpointShow: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Show one checkpoint, and why it is kept.",
    discussion: Help.examples("baton checkpoint show 42"))

  @Argument(help: "Its id, as in 42 or checkpoint-42: `baton checkpoint list JOB` tells it.")
  var checkpoint: String

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      let view = try await client.checkpointView(checkpoint)
      try context.show(view) { context.facts(CheckpointText.facts(view, context.times())) }
    }
  }
}
