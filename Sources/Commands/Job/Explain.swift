import APIClient
import ArgumentParser

/// `baton explain`.
struct Explain: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain",
    abstract: "Say why a job waits, lease by lease, with the numbers that decided it.",
    discussion: Help.examples("baton explain 17"))

  @Argument(help: "Its id, as in 17 or job-17.")
  var job: String

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      let answer = try await client.explain(job)
      try context.show(answer) { context.prose(JobText.explanation(answer, context.times())) }
    }
  }
}
