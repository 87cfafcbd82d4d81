import APIClient
import ArgumentParser
import Domain
import Wire

/// `baton job groups`.
struct JobGroups: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "groups",
    abstract: "List groups of jobs: what arrays, matrices and studies made, newest first.",
    discussion: Help.examples(
      "baton job groups --live", "baton queue --group group-3", "baton cancel group-3"))

  @Flag(help: "Only those of which some job is not over.")
  var live = false

  @OptionGroup var page: PageOptions
  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      let groups = try await page.fill(atOnce: 100) { before, limit in
        try await client.groups(over: live ? false : nil, before: before, limit: limit)
      }
      try context.show(groups) {
        context.table(GroupText.table(groups.items, context.times(groups.now)), empty: empty)
      }
      page.tellRest(groups, of: "groups", context)
    }
  }

  private var empty: String {
    if page.before != nil { return "no older groups" }
    return live ? "all groups are over" : "no groups yet: a job file with `matrix` or `array` makes one"
  }
}
