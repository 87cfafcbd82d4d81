import APIClient
import ArgumentParser
import Domain
import Wire

/// `baton run metrics`.
struct RunMetrics: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "metrics",
    abstract: "Draw a metric of a run, or print its values; without a metric, list those that it has.",
    discussion: Help.examples(
      "baton run metrics 17", "baton run metrics 17 loss", "baton run metrics 17 loss --from 1000 --to 2000",
      "baton run metrics 17 loss --csv > loss.csv", "baton run metrics 17 loss --archived")
      + "\n\nA long curve is drawn from about 2,000 of its points, none of them made up and no spike left out; --csv "
      + "prints every value. What was computed and lost with its attempt is not of the curve: --archived has it.")

  @Argument(help: "Its id, as in 17 or run-17: the number of its job.")
  var run: String

  @Argument(help: "Which metric.")
  var metric: String?

  @Option(help: "The first step.")
  var from: Int?

  @Option(help: "The last step.")
  var to: Int?

  @Option(help: ArgumentHelp("At most about so many points of a long curve.", valueName: "n"))
  var points: Int?

  @Flag(help: "The values that left the curve, since the run went on from before them.")
  var archived = false

  @Flag(help: "Print every value as comma-separated text.")
  var csv = false

  @OptionGroup var global: GlobalOptions

  func validate() throws {
    if csv, global.json { throw ValidationError("--csv and --json are two forms: choose one") }
    if metric == nil, csv || archived {
      throw ValidationError("say which metric: `baton run metrics \(run)` lists them")
    }
    if let from, from < 0 { throw ValidationError("no step is less than 0") }
    if let from, let to, from > to { throw ValidationError("--from (\(from)) is greater than --to (\(to))") }
  }

  func run() async throws {
    try await global.withClient { client, context in
      let view = try await client.run(run)
      guard let metric else {
        try context.show(view.metrics) {
          context.table(
            RunText.metrics(view.metrics),
            empty: "no metric yet: the program appends JSON lines to the file that BATON_METRICS names")
        }
        return
      }
      guard view.metrics.contains(where: { $0.metric == metric }) || archived else {
        let names = view.metrics.isEmpty ? "none" : view.metrics.map(\.metric).joined(separator: ", ")
        throw CommandFailure(.badInput, "\(view.id) has no metric '\(metric)'; it has: \(names)")
      }
      if archived {
        try await showArchived(metric, of: view, client, context)
      } else if csv {
        try await printValues(metric, client, context)
      } else {
        let series = try await client.curve(run, metric, from: from, to: to, limit: points)
        try context.show(series) {
          RunText.plot(series, of: view).rendered(
            width: min(context.console.width, 120), height: 20, paint: context.console.paint)
        }
      }
    }
  }

  private func printValues(_ metric: String, _ client: BatonClient, _ context: Context) async throws {
    context.console.out("step,value,attempt,recorded_at")
    try await client.everyValue(run, metric, from: from, to: to) { part in
      let lines = part.steps.indices.map { index in
        "\(part.steps[index]),\(part.values[index]),\(part.attempts[index]),\(part.recordedAt?[index].iso8601 ?? "")"
      }
      if !lines.isEmpty { context.console.out(lines.joined(separator: "\n")) }
    }
  }

  private func showArchived(
    _ metric: String, of view: RunView, _ client: BatonClient, _ context: Context
  ) async throws {
    var all = ArchivedSeries(
      metric: metric, steps: [], values: [], attempts: [], recordedAt: [], archivedAt: [], reasons: [])
    if csv { context.console.out("step,value,attempt,recorded_at,archived_at,reason") }
    try await client.archivedValues(run, metric, from: from, to: to) { part in
      if csv {
        let lines = part.steps.indices.map { index in
          "\(part.steps[index]),\(part.values[index]),\(part.attempts[index]),\(part.recordedAt[index].iso8601),"
            + "\(part.archivedAt[index].iso8601),\(part.reasons[index])"
        }
        if !lines.isEmpty { context.console.out(lines.joined(separator: "\n")) }
      } else {
        all.append(part)
      }
    }
    if csv { return }
    try context.show(all) { RunText.archived(all, of: view, context) }
  }
}

extension ArchivedSeries {
  /// Adds what comes next.
  fileprivate mutating func append(_ part: ArchivedSeries) {
    steps += part.steps
    values += part.values
    attempts += part.attempts
    recordedAt += part.recordedAt
    archivedAt += part.archivedAt
    reasons += part.reasons
  }
}
