import APIClient
import ArgumentParser

/// `baton cancel`.
struct Cancel: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cancel",
    abstract: "End a job: it saves first, unless told otherwise.",
    discussion: Help.examples(
      "baton cancel 17", "baton cancel 17 --now", "baton cancel group-3   (all jobs of an array or a matrix)"),
    aliases: ["stop", "rm", "del"])

  @Argument(help: "Its id, as in 17 or job-17; or a group's, as in group-3.")
  var job: String

  @Flag(help: "Kill it at once; what was not saved is lost.")
  var now = false

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      if job.hasPrefix("group-") {
        let group = try await client.cancelGroup(job, now: now)
        return try context.show(group) { GroupText.line(group) }
      }
      let view = try await client.cancel(job, now: now)
      try context.show(view) { JobText.line(view, context.times()) }
    }
  }
}
