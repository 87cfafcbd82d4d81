import APIClient
import ArgumentParser
import Domain
import Foundation
import Synchronization
import Wire

/// `baton run reproduce`.
struct RunReproduce: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reproduce",
    abstract: "Submit a run again as it was - code, data versions, seeds, job file - and compare the two curves.",
    discussion: Help.examples(
      "baton run reproduce 17", "baton run reproduce 17 --metric test_accuracy --metric loss",
      "baton run reproduce 17 --no-wait        (compare later: baton run compare 17 18)")
      + "\n\nNothing of the machine that it was submitted from is needed: the server has the code, and nodes fetch it from "
      + "there.\nThe exit status is 0 where every value is the same, bit for bit, 1 where a value differs or is missing, and "
      + "else\nthat of a job that was followed (baton help exit-codes).")

  @Argument(help: "Its id, as in 17 or run-17.")
  var run: String

  @Option(help: "A curve that has to be the same; may be given several times. (default: loss, else the first)")
  var metric: [String] = []

  @Option(help: "The lease to use, in place of the one that the job file names.")
  var lease: String?

  @Option(name: [.customShort("J"), .customLong("name")], help: "Its name, in place of the run's.")
  var name: String?

  @Flag(help: "Only submit it.")
  var noWait = false

  @OptionGroup var global: GlobalOptions

  /// What is said of it as JSON.
  struct Report: Codable, Sendable {
    var original: RunID
    var reproduction: RunID
    var state: JobState
    var caveats: [String]
    var isEqual: Bool
    var curves: [RunComparison]
  }

  func run() async throws {
    try await global.withClient { client, context in
      let answer = try await client.reproduce(
        run, ReproduceRequest(submissionKey: Submit.newKey(), name: name, lease: lease))
      for caveat in answer.caveats { context.console.note("note: " + Printable.line(caveat)) }
      if !context.json {
        context.console.out("\(answer.job.id.run) does \(answer.original) again")
      } else if noWait {
        context.console.out(try JSONText.pretty(answer))
      }
      if noWait { return }
      let end = try await Self.follow(answer.job.id, client, context)
      let status = ExitStatus(following: end)
      guard status == .success else {
        if !context.json {
          context.console.out("\(end.id) is \(end.state.rawValue): nothing is compared")
        }
        throw CommandFailure(status)
      }
      let curves = try await compare(answer, client)
      let isEqual = !curves.isEmpty && curves.allSatisfy(RunText.isEqual)
      let report = Report(
        original: answer.original, reproduction: end.id.run, state: end.state, caveats: answer.caveats,
        isEqual: isEqual, curves: curves)
      try context.show(report) { Self.text(report) }
      if !isEqual { throw CommandFailure(.foundTrouble) }
    }
  }

  private static func follow(_ job: JobID, _ client: BatonClient, _ context: Context) async throws -> JobView {
    let changes = Mutex(JobChanges())
    return try await JobFollower(client: client).follow("\(job)") { view in
      guard changes.withLock({ $0.isNews(view) }), !context.json else { return }
      context.console.out(JobText.line(view, context.times()))
    }
  }

  /// The curves that were asked for, or the main one.
  private func compare(_ answer: Reproduction, _ client: BatonClient) async throws -> [RunComparison] {
    var wanted = metric
    if wanted.isEmpty {
      let original = try await client.run("\(answer.original)")
      wanted = [RunText.metric(of: original)].compactMap(\.self)
    }
    var curves: [RunComparison] = []
    for name in wanted {
      curves.append(try await client.compare("\(answer.original)", "\(answer.job.id.run)", metric: name))
    }
    return curves
  }

  /// What a person reads at the end.
  static func text(_ report: Report) -> String {
    guard !report.curves.isEmpty else {
      return "\(report.original) has no metric: nothing can be compared"
    }
    let verdict =
      report.isEqual
      ? "\(report.reproduction) reproduces \(report.original): the same series, bit for bit"
      : "\(report.reproduction) does not reproduce \(report.original)"
    return (report.curves.map(RunText.comparison) + [verdict]).joined(separator: "\n")
  }
}
