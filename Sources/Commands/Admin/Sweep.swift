import APIClient
import ArgumentParser
import Wire

/// `baton sweep`.
struct Sweep: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sweep",
    abstract: "See to it that every job has a fresh, verified checkpoint. What cron calls.",
    discussion: "The exit status is 1 where a person has to look at something.\n\n"
      + Help.examples("baton sweep", "*/10 * * * *  baton sweep --json >> sweep.log      (in a crontab)"))

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      let report = try await client.sweep()
      try context.show(report) { Self.text(report, width: context.console.tableWidth) }
      guard report.isHealthy else { throw CommandFailure(.foundTrouble) }
    }
  }

  /// Of each kind so many are named; --json names all.
  private static let namesMost = 10

  /// A report for people.
  static func text(_ report: SweepReport, width: Int? = nil) -> String {
    func names(_ ids: [some CustomStringConvertible]) -> String {
      if ids.isEmpty { return "none" }
      let rest = ids.count > namesMost ? " and \(ids.count - namesMost) more" : ""
      return ids.prefix(namesMost).map(\.description).joined(separator: ", ") + rest
    }
    var facts = Facts()
    facts.add("jobs looked at", "\(report.jobsRunning)")
    facts.add("asked to save", names(report.asked))
    facts.add("read back and good", names(report.verified))
    facts.add("read back and corrupt", names(report.corrupt), report.corrupt.isEmpty ? nil : .red)
    facts.add("removed by policy", names(report.pruned))
    return
      ([facts.rendered(width: width)]
      + report.problems.map { Prose.wrapped("problem: " + Printable.line($0), width: width) })
      .joined(separator: "\n")
  }
}
