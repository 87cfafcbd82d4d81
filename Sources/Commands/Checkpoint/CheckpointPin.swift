import APIClient
import ArgumentParser
import Domain
import Wire

/// `baton checkpoint pin`.
struct CheckpointPin: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pin",
    abstract: "Keep a checkpoint, whatever the job's checkpoint.keep says.",
    discussion: Help.examples(
      "baton checkpoint pin 42 --note 'figure 3'", "baton checkpoint pin 42 --run 18      (until run 18 is over)"))

  @Argument(help: "Its id, as in 42 or checkpoint-42.")
  var checkpoint: String

  @Option(help: "Why, for people.")
  var note: String?

  @Option(help: "The run that resumes from it: the pin ends with that.", transform: PinHolder.run)
  var run: RunID?

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      let view = try await client.pin(checkpoint, PinRequest(note: note, run: run))
      try context.show(view) { "pinned: " + CheckpointText.line(view) }
    }
  }
}

/// `baton checkpoint unpin`.
struct CheckpointUnpin: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "unpin", abstract: "Leave a checkpoint to the job's checkpoint.keep again.",
    discussion: Help.examples("baton checkpoint unpin 42"))

  @Argument(help: "Its id, as in 42 or checkpoint-42.")
  var checkpoint: String

  @Option(help: "Take back the pin of this run, instead of a person's.", transform: PinHolder.run)
  var run: RunID?

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      let view = try await client.unpin(checkpoint, PinRequest(run: run))
      try context.show(view) { "unpinned: " + CheckpointText.line(view) }
    }
  }
}

/// Whom a pin is for.
enum PinHolder {
  /// `18`, `run-18` or `job-18`.
  @Sendable static func run(_ text: String) throws -> RunID {
    guard let id = RunID(text: text) ?? JobID(text: text)?.run else {
      throw ValidationError("'\(text)' names no run: write its number, as in 18 or run-18")
    }
    return id
  }
}
