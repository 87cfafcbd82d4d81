import APIClient
import ArgumentParser
import Wire

/// `baton run show`.
struct RunShow: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show",
    abstract: "Show a run: its attempts, checkpoints and curve, with the ends of leases marked.",
    discussion: Help.examples(
      "baton run show 17", "baton run show 17 --metric test_accuracy", "baton run show 17 --json"))

  @Argument(help: "Its id, as in 17 or run-17: the number of its job.")
  var run: String

  @Option(help: "Which metric to draw. (default: loss, else the first)")
  var metric: String?

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      let view = try await client.run(run)
      if context.json {
        context.console.out(try JSONText.pretty(view))
        return
      }
      let artifacts = view.attempts.isEmpty ? nil : try await client.toldArtifacts(of: view, glance: true)
      context.console.out(
        RunText.history(
          view, artifacts: artifacts, context.times(), width: context.console.tableWidth, paint: context.console.paint))
      guard let name = metric ?? RunText.metric(of: view) else { return }
      let series = try await client.curve(run, name)
      context.console.out(
        "\n"
          + RunText.plot(series, of: view)
          .rendered(width: min(context.console.width, 120), height: 14, paint: context.console.paint))
    }
  }
}
