import APIClient
import ArgumentParser

/// `baton job show`.
struct JobShow: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Show one job.", discussion: Help.examples("baton job show 17"))

  @Argument(help: "Its id, as in 17 or job-17.")
  var job: String

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      let view = try await client.job(job)
      try context.show(view) { context.facts(JobText.facts(view, context.times())) }
    }
  }
}
