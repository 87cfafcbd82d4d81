import APIClient
import ArgumentParser
import Domain
import Wire

/// `baton job list`, and what `baton queue` does.
struct JobList: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "List jobs that are not over.",
    discussion: Help.examples(
      "baton queue", "baton queue --all --state FAILED", "baton queue --group group-3   (of an array or a matrix)",
      "baton job list --json"),
    aliases: ["ls"])

  @Flag(name: [.short, .long], help: "Those that are over as well.")
  var all = false

  @Option(help: "Only those in this state, as in RUNNING.", completion: .list(JobState.allCases.map(\.rawValue)))
  var state: String?

  @Option(help: ArgumentHelp("All jobs of this group, over or not, each in a row of its own.", valueName: "group"))
  var group: String?

  @OptionGroup var page: PageOptions
  @OptionGroup var global: GlobalOptions

  func validate() throws {
    if page.isGiven, !all, state == nil {
      throw ValidationError("--limit and --before go with --all or --state: without these all jobs are listed")
    }
    if group != nil, all || state != nil { throw ValidationError("--group lists all of a group, whatever their state") }
    guard let state, JobState(rawValue: state.uppercased()) == nil else { return }
    throw ValidationError(
      "--state \(state): a state is one of \(JobState.allCases.map(\.rawValue).joined(separator: ", "))")
  }

  func run() async throws {
    try await global.withClient { client, context in
      let jobs =
        all || state != nil
        ? try await page.fill { before, limit in
          try await client.jobs(all: all, state: state?.uppercased(), before: before, limit: limit)
        } : try await client.jobs(group: group)
      try context.show(jobs) {
        context.table(
          JobText.queue(jobs.items, context.times(jobs.now), isCompact: group == nil),
          empty: all
            ? "no jobs yet: submit one with `baton submit FILE`" : "no jobs in the queue (--all shows old ones)")
      }
      page.tellRest(jobs, of: "jobs", context)
    }
  }
}
