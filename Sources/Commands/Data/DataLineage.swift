import APIClient
import ArgumentParser
import Domain
import Wire

/// `baton data lineage`.
struct DataLineage: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lineage",
    abstract: "Tell where each version of a data set came from, who made it, and which jobs used it.",
    discussion: Help.examples("baton data lineage imagenet", "baton data lineage imagenet --json"))

  @Argument(help: "Its name.")
  var name: String

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      let lineage = try await client.lineage(name)
      try context.show(lineage) {
        lineage.items.map { context.facts(Self.facts($0, context.times(lineage.now))) }.joined(separator: "\n\n")
      }
    }
  }

  /// So many jobs are named; --json names more.
  private static let jobsMost = 10

  /// One version for people.
  static func facts(_ lineage: LineageView, _ times: TimeText) -> Facts {
    let dataset = lineage.dataset
    var facts = Facts()
    facts.add("version", "\(dataset.version)", .bold)
    facts.add("content", "\(dataset.contentID.prefix(12)), \(counted(dataset.objects, "file")), \(dataset.total)")
    facts.add("from", dataset.source)
    facts.add("objects", dataset.origin.map { "read in place at \($0)" } ?? "in Baton's store")
    facts.add("added", "\(times.both(dataset.createdAt))\(lineage.addedBy.map { " by \($0)" } ?? "")")
    facts.add(
      "made from",
      dataset.changes.map { changes in
        "\(lineage.madeFrom.map { "version \($0)" } ?? "an earlier version"): \(changes)"
      })
    facts.add(
      "packed", dataset.pack.map { "\(counted($0.shards, "shard")), \($0.bytes), \(times.both($0.at)) by \($0.by)" })
    let named = lineage.jobs.prefix(jobsMost).map { "\($0.job) \($0.name) (\($0.state.rawValue), \($0.user))" }
    let rest = lineage.jobs.count > jobsMost ? ["and \(lineage.jobs.count - jobsMost) more"] : []
    facts.add("used by", named.isEmpty ? "no job" : (named + rest).joined(separator: ", "))
    return facts
  }
}
