import APIClient
import ArgumentParser

/// `baton checkpoint JOB`, which is `baton checkpoint now JOB`.
struct CheckpointNow: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "now",
    abstract: "Ask a running job to save now, and go on.",
    discussion: Help.examples("baton checkpoint 17", "baton checkpoint now 17"))

  @Argument(help: "Its id, as in 17 or job-17.")
  var job: String

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      let view = try await client.checkpoint(job)
      try context.show(view) { "asked to save: " + JobText.line(view, context.times()) }
    }
  }
}
