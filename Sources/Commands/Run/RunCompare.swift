import APIClient
import ArgumentParser

/// `baton run compare`.
struct RunCompare: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare",
    abstract: "Compare two runs by a metric, bit for bit. The exit status is 1 where they differ.",
    discussion: Help.examples("baton run compare 17 18", "baton run compare 17 18 --metric test_accuracy"))

  @Argument(help: "One run.")
  var run: String

  @Argument(help: "The other.")
  var other: String

  @Option(help: "By which metric.")
  var metric = "loss"

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      let comparison = try await client.compare(run, other, metric: metric)
      try context.show(comparison) { RunText.comparison(comparison) }
      guard RunText.isEqual(comparison) else { throw CommandFailure(.foundTrouble) }
    }
  }
}
