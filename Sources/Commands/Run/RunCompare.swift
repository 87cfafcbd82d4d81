import APIClient
import ArgumentParser
import Wire

/// `baton run compare`.
struct RunCompare: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare",
    abstract: "Put runs side by side: what differed going in, their curves, bit for bit, and their results.",
    discussion: Help.examples(
      "baton run compare 17 18", "baton run compare 17 18 19 --metric test_accuracy",
      "baton run compare 17 18 --diff         (with the hunks of the code)")
      + "\n\nThe exit status is 1 where a curve is not that of the first run, bit for bit.")

  @Argument(help: "Two runs, or more; the first is what the others are compared with.")
  var runs: [String]

  @Option(help: "The curve to compare. (default: loss, else the first)")
  var metric: String?

  @Flag(help: "Show what differs in the code, hunk by hunk.")
  var diff = false

  @OptionGroup var global: GlobalOptions

  func validate() throws {
    guard runs.count >= 2 else { throw ValidationError("name two runs at least, as in: baton run compare 17 18") }
  }

  func run() async throws {
    try await global.withClient { client, context in
      let comparison = try await client.compare(runs, metric: metric)
      if context.json {
        context.console.out(try JSONText.pretty(comparison))
      } else {
        var curves: [MetricSeries] = []
        for run in comparison.runs {
          curves.append(try await Self.curve(of: "\(run.id)", comparison.metric, in: comparison, client))
        }
        let console = context.console
        context.console.out(
          ComparisonText.text(
            comparison, curves, context.times(), showsHunks: diff, width: console.tableWidth,
            plotWidth: min(console.width, 120), paint: console.paint))
      }
      guard ComparisonText.isOneCurve(comparison) else { throw CommandFailure(.foundTrouble) }
    }
  }

  /// The curve of a run, without points where it has none of the metric.
  private static func curve(
    of run: String, _ metric: String, in comparison: RunSetComparison, _ client: BatonClient
  ) async throws -> MetricSeries {
    guard comparison.results.contains(where: { $0.metric == metric }) else {
      return MetricSeries(metric: metric, steps: [], values: [], attempts: [])
    }
    return try await client.metrics(run, metric, limit: 2000)
  }
}
