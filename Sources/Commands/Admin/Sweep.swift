import APIClient
import ArgumentParser
import Domain
import Wire

/// `baton sweep`.
struct Sweep: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sweep",
    abstract: "See to it that every job has a fresh, verified checkpoint. What cron calls.",
    discussion: "The exit status is 1 where a person has to look at something, 75 where another sweep is under way.\n\n"
      + Help.examples(
        "baton sweep", "baton sweep --read 200GiB",
        "*/10 * * * *  baton sweep --json >> sweep.log      (in a crontab)"))

  @Option(
    help: "How much of what is stored is read back, what was not read for longest first. (default: 16GiB)",
    transform: Checked.bytes)
  var read: ByteCount?

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      let report = try await client.sweep(bytesMost: read)
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
    facts.add("healthy", report.isHealthy ? "yes" : "no", report.isHealthy ? .green : .red)
    facts.add("jobs running", "\(report.jobsRunning)")
    facts.add("asked to save", names(report.asked))
    facts.add("asked long ago, nothing saved", report.overdue.isEmpty ? nil : names(report.overdue), .red)
    facts.add("durable checkpoints", "\(report.durable), of which \(report.bytesRead) read back now")
    facts.add("read back and good", names(report.verified))
    facts.add("read back and corrupt", names(report.corrupt), report.corrupt.isEmpty ? nil : .red)
    facts.add(
      "removed by policy", names(report.pruned) + (report.pruned.isEmpty ? "" : " (\(report.bytesFreed))"))
    return
      ([facts.rendered(width: width)]
      + report.problems.map { Prose.wrapped("problem: " + Printable.line($0), width: width) })
      .joined(separator: "\n")
  }
}
