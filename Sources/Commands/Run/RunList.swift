import APIClient
import ArgumentParser
import Domain
import Wire

/// `baton run list`.
struct RunList: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List runs, those that are over as well unless told otherwise.",
    discussion: Help.examples(
      "baton run list", "baton run list --live", "baton run list --tag baseline",
      "baton run list --limit 20 --before 117   (the 20 before run 117)"))

  @Flag(help: "Only those that are not over.")
  var live = false

  @Option(help: "Only those that have this word.")
  var tag: String?

  @OptionGroup var page: PageOptions
  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      let runs = try await page.fill { before, limit in
        try await client.runs(over: live ? false : nil, tag: tag, before: before, limit: limit)
      }
      try context.show(runs) {
        context.table(
          JobText.queue(runs.items, context.times(runs.now)),
          empty: page.before == nil ? empty : "no older runs")
      }
      page.tellRest(runs, of: "runs", context)
    }
  }

  private var empty: String {
    if tag != nil { return "no run has this word" }
    return live ? "no run is going on" : "no runs yet: submit a job with `baton submit FILE`"
  }
}
