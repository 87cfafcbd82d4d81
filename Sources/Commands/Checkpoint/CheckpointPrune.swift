import APIClient
import ArgumentParser
import Domain
import Wire

/// `baton checkpoint prune`.
struct CheckpointPrune: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "prune",
    abstract: "Remove what the job's checkpoint.keep does not keep, or the checkpoints that are named.",
    discussion: Help.examples(
      "baton checkpoint prune 17 --dry-run", "baton checkpoint prune 17", "baton checkpoint prune 17 40 41 --yes")
      + "\n\nWhat is pinned, what the job would resume from, and what a run resumes from is never removed.")

  @Argument(help: "The job's id, as in 17 or job-17.")
  var job: String

  @Argument(help: "Checkpoints of it, as in 42 or checkpoint-42.", transform: CheckpointPrune.checkpoint)
  var checkpoints: [CheckpointID] = []

  @Flag(help: "Only say what would be removed.")
  var dryRun = false

  @Flag(name: [.short, .long], help: "Do not ask.")
  var yes = false

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      let named = checkpoints.isEmpty ? nil : checkpoints
      if !dryRun, !yes, context.console.canAsk {
        let preview = try await client.prune(job, PruneRequest(checkpoints: named, dryRun: true))
        context.console.note(CheckpointText.pruned(preview))
        if preview.pruned.isEmpty { return }
        guard context.console.ask("Remove them for good?") else { return }
      }
      let report = try await client.prune(job, PruneRequest(checkpoints: named, dryRun: dryRun))
      try context.show(report) { CheckpointText.pruned(report) }
      guard report.refused.isEmpty else { throw CommandFailure(.tryLater) }
    }
  }

  @Sendable private static func checkpoint(_ text: String) throws -> CheckpointID {
    guard let id = CheckpointID(text: text) else {
      throw ValidationError("'\(text)' names no checkpoint: write its number, as in 42 or checkpoint-42")
    }
    return id
  }
}
