import APIClient
import ArgumentParser
import Wire

/// `baton run list`.
struct RunList: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List runs, those that are over as well unless told otherwise.",
    discussion: Help.examples("baton run list", "baton run list --live"))

  @Flag(help: "Only those that are not over.")
  var live = false

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      let runs = try await client.runs(all: !live)
      try context.show(runs) {
        context.table(
          JobText.queue(runs.items, context.times(runs.now)),
          empty: "no runs yet: submit a job with `baton submit FILE`")
      }
    }
  }
}
