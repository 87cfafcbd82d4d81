import APIClient
import ArgumentParser

/// `baton lease show`.
struct LeaseShow: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Show one lease.",
    discussion: Help.examples("baton lease show week", "baton lease show lease-3 --json"))

  @Argument(help: "Its name or id.")
  var lease: String

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      let view = try await client.lease(lease)
      try context.show(view) { context.facts(LeaseText.facts(view, context.times())) }
    }
  }
}
