import APIClient
import ArgumentParser
import Wire

/// `baton checkpoint reject`.
struct CheckpointReject: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reject",
    abstract: "Mark a checkpoint CORRUPT for ever, so that the one before it is used.",
    discussion:
      "For one whose bytes are right and whose content is not: the program cannot load it, or it was saved after "
      + "the loss was no number.\n\n"
      + Help.examples("baton checkpoint reject 42 --reason 'the loss is NaN'", "baton release 17"))

  @Argument(help: "Its id, as in 42 or checkpoint-42.")
  var checkpoint: String

  @Option(help: "Why, for people.")
  var reason = "rejected by hand"

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      let view = try await client.reject(checkpoint, RejectRequest(reason: reason))
      try context.show(view) { "rejected: " + CheckpointText.line(view) }
    }
  }
}
