import APIClient
import ArgumentParser
import Wire

/// `baton lease extend`.
struct LeaseExtend: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "extend",
    abstract: "Move the end of a lease.",
    discussion: Help.examples(
      "baton lease extend week --by 1d", "baton lease extend lease-3 --until 2026-11-30T08:00+01:00"),
    aliases: ["update", "prolong"])

  @Argument(help: "Its name or id.")
  var lease: String

  @Option(
    name: [.customLong("by"), .customLong("prolong-for")],
    help: ArgumentHelp("By how long.", valueName: "duration"), transform: Checked.duration)
  var by: String?

  @Option(
    name: [.customLong("until"), .customLong("end-date")],
    help: ArgumentHelp("Until when.", valueName: "time"), transform: Checked.moment)
  var until: String?

  @OptionGroup var global: GlobalOptions

  func validate() throws {
    guard (by == nil) != (until == nil) else {
      throw ValidationError("say by how long (--by 1d) or until when (--until 2026-11-30T08:00Z), one of the two")
    }
  }

  func run() async throws {
    try await global.withClient { client, context in
      let view = try await client.extendLease(lease, LeaseExtension(by: by, until: until))
      try context.show(view) { context.facts(LeaseText.facts(view, context.times())) }
    }
  }
}
