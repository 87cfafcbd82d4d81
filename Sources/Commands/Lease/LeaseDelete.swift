import APIClient
import ArgumentParser
import Domain
import Wire

/// `baton lease delete`.
struct LeaseDelete: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete",
    abstract: "Give a lease back now. Jobs on it are ended at once, without a save, and wait for the next lease.",
    discussion: """
      Where jobs run on the lease, a person at a terminal is told what would be lost, and asked; without a terminal
      nothing is done unless --yes is given. `baton checkpoint JOB` before it loses less.

      \(Help.examples("baton lease delete week", "baton lease delete week --yes"))
      """)

  @Argument(help: "Its name or id.")
  var lease: String

  @Flag(name: [.short, .long], help: "Do not ask, whatever runs on it.")
  var yes = false

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      if !yes { try await confirm(client, context) }
      let view = try await client.deleteLease(lease)
      try context.show(view) { context.facts(LeaseText.facts(view, context.times())) }
    }
  }

  private func confirm(_ client: BatonClient, _ context: Context) async throws {
    let view = try await client.lease(lease)
    guard !view.jobs.isEmpty else { return }
    var jobs: [JobView] = []
    for id in view.jobs { jobs.append(try await client.job("\(id)")) }
    let warning = LeaseText.loss(of: view, jobs, context.times())
    guard context.console.canAsk else {
      throw CommandFailure(.usage, "\(warning)\nNothing was done: say --yes where that is meant.")
    }
    context.console.note(Prose.wrapped(warning, width: context.console.width))
    guard context.console.ask("Give '\(Printable.line(view.name))' back now?") else {
      throw CommandFailure(.tryLater, "nothing was done")
    }
  }
}
