import APIClient
import ArgumentParser

/// `baton lease delete`.
struct LeaseDelete: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete",
    abstract: "Give a lease back now. Jobs on it save first, and wait for the next one.",
    discussion: Help.examples("baton lease delete week"))

  @Argument(help: "Its name or id.")
  var lease: String

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      let view = try await client.deleteLease(lease)
      try context.show(view) { LeaseText.facts(view, context.times()).rendered(paint: context.console.paint) }
    }
  }
}
