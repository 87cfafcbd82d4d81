import APIClient
import ArgumentParser
import Domain
import Wire

/// `baton lease drill`.
struct LeaseDrill: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "drill",
    abstract: "Play a lease's end without giving its nodes back. The exit status is 1 where something would go wrong.",
    discussion: """
      Every node is asked, the object store is written and read, and every job that runs in the lease saves, as it would at \
      the end, and goes on; how long that took is set against the time that the last save has. It is safe at any time.

      With --stop what runs really leaves, as at the end, and goes on in the same lease: the run stands still for some \
      seconds, and no step is lost. A person at a terminal is asked before; without a terminal nothing is done unless \
      --yes is given.

      \(Help.examples("baton lease drill week", "baton lease drill week --stop --yes", "baton lease drill week --json"))
      """)

  @Argument(help: "Its name or id.")
  var lease: String

  @Flag(help: "Stop what runs and let it go on in the same lease.")
  var stop = false

  @Flag(name: [.short, .long], help: "With --stop: do not ask.")
  var yes = false

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      if stop, !yes { try await confirm(client, context) }
      var report: DrillReport?
      for try await step in try await client.drill(lease, DrillRequest(stop: stop)) {
        if let check = step.check { context.console.note(DrillText.line(check)) }
        report = step.report ?? report
      }
      guard let report else {
        throw CommandFailure(.unreachable, "the server stopped before the drill was over: run it again")
      }
      try context.show(report) {
        DrillText.report(report, width: context.console.tableWidth, paint: context.console.paint)
      }
      guard report.passed else { throw CommandFailure(.foundTrouble) }
    }
  }

  private func confirm(_ client: BatonClient, _ context: Context) async throws {
    let view = try await client.lease(lease)
    guard !view.jobs.isEmpty else { return }
    let jobs = view.jobs.map { "\($0)" }.joined(separator: ", ")
    let warning = "\(jobs) would save, leave, and go on in '\(Printable.line(view.name))'."
    guard context.console.canAsk else {
      throw CommandFailure(.usage, "\(warning)\nNothing was done: say --yes where that is meant.")
    }
    context.console.note(Prose.wrapped(warning, width: context.console.width))
    guard context.console.ask("Stop and resume now?") else { throw CommandFailure(.tryLater, "nothing was done") }
  }
}
