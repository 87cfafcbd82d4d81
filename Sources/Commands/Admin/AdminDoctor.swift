import APIClient
import ArgumentParser
import Wire

/// `baton admin doctor`.
struct AdminDoctor: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract: "Ask the server what is wrong with it. The exit status is 1 where something is.",
    discussion: Help.examples("baton admin doctor"))

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      let report = try await client.doctor()
      try context.show(report) { context.table(Self.table(report), empty: "nothing was looked at") }
      guard report.checks.allSatisfy(\.passed) else { throw CommandFailure(.foundTrouble) }
    }
  }

  /// A report for people.
  static func table(_ report: DoctorReport) -> Table {
    var table = Table([.init("CHECK"), .init(""), .init("FOUND", wraps: true)])
    for check in report.checks {
      table.add([
        .init(check.name), .init(check.passed ? "ok" : "FAILED", check.passed ? .green : .red), .init(check.detail),
      ])
    }
    return table
  }
}
