import APIClient
import ArgumentParser
import Domain
import Wire

/// `baton checkpoint list`.
struct CheckpointList: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "List the checkpoints of a job.",
    discussion: Help.examples("baton checkpoint list 17", "baton checkpoint list 17 --all --json"),
    aliases: ["ls"])

  @Argument(help: "The job's id, as in 17 or job-17.")
  var job: String

  @Flag(name: [.short, .long], help: "Those that were removed as well.")
  var all = false

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      var listing = try await client.checkpoints(of: job)
      if !all { listing.items.removeAll { $0.state == .pruned } }
      // Only then it matters.
      let empty = listing.items.isEmpty ? CheckpointText.none(of: try await client.job(job)) : ""
      try context.show(listing) {
        context.table(CheckpointText.table(listing.items, context.times(listing.now)), empty: empty)
      }
    }
  }
}
