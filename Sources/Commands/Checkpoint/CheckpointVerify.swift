import APIClient
import ArgumentParser
import Domain
import Wire

/// `baton checkpoint verify`.
struct CheckpointVerify: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Read all of a checkpoint back. The exit status is 1 where it is not as it should be.",
    discussion: Help.examples("baton checkpoint verify 42")
      + "\n\nA checkpoint with a fault is CORRUPT from then on, and its job would resume from the one before it.")

  @Argument(help: "Its id, as in 42 or checkpoint-42.")
  var checkpoint: String

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      var progress: ProgressPrinter?
      var end: VerifyProgress?
      var done = ByteCount.zero
      for try await step in try await client.verify(checkpoint) {
        let printer = progress ?? ProgressPrinter("reading back", total: step.total, context.console)
        progress = printer
        printer.add(step.done.bytes - done.bytes)
        done = step.done
        if step.checkpoint != nil { end = step }
      }
      guard let end, let view = end.checkpoint else {
        throw CommandFailure(.unreachable, "the server stopped before all was read: try again")
      }
      progress?.end()
      try context.show(end) { CheckpointText.verdict(view, fault: end.fault) }
      guard end.fault == nil else { throw CommandFailure(.foundTrouble) }
    }
  }
}
