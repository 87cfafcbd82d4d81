import APIClient
import ArgumentParser
import Domain
import Wire

/// `baton run list`.
struct RunList: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List runs, those that are over as well unless told otherwise.",
    discussion: Help.examples(
      "baton run list", "baton run list --live", "baton run list --tag baseline"))

  @Flag(help: "Only those that are not over.")
  var live = false

  @Option(help: "Only those that have this word.")
  var tag: String?

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      var runs: Listing<JobView>
      if let tag { runs = try await client.runs(tag: tag) } else { runs = try await client.runs(all: !live) }
      if live { runs.items.removeAll { $0.state.isFinal } }
      try context.show(runs) {
        context.table(
          JobText.queue(runs.items, context.times(runs.now)),
          empty: tag == nil ? "no runs yet: submit a job with `baton submit FILE`" : "no run has this word")
      }
    }
  }
}
