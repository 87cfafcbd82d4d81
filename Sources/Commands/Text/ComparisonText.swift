import Domain
import Wire

/// Runs side by side, for people.
enum ComparisonText {
  /// So many files are named.
  private static let filesMost = 40

  /// Whether every run has the first one's curve, with the same bits.
  static func isOneCurve(_ comparison: RunSetComparison) -> Bool {
    comparison.curves.count == comparison.runs.count - 1 && comparison.curves.allSatisfy(RunText.isEqual)
  }

  /// What went in, the curves, the results.
  static func text(
    _ comparison: RunSetComparison, _ curves: [MetricSeries], _ times: TimeText, showsHunks: Bool, width: Int? = nil,
    plotWidth: Int = 100, paint: (String, Ink?) -> String = { text, _ in text }
  ) -> String {
    var sections = [runs(comparison, times).rendered(width: width, paint: paint)]
    if comparison.differences.isEmpty {
      sections.append("nothing that is known differed going in")
    } else {
      sections.append(differences(comparison).rendered(width: width, paint: paint))
    }
    if !comparison.files.isEmpty { sections.append(files(comparison, showsHunks: showsHunks, paint)) }
    if let plot = plot(comparison, curves) {
      sections.append(plot.rendered(width: plotWidth, height: 14, paint: paint) + "\n" + legend(comparison))
    }
    if !comparison.results.isEmpty { sections.append(results(comparison).rendered(width: width, paint: paint)) }
    sections += comparison.curves.map(RunText.comparison)
    let absent = comparison.runs.filter { run in
      !comparison.results.contains { $0.metric == comparison.metric && value(of: run, $0.last, comparison) != nil }
    }
    if !absent.isEmpty {
      sections.append("no value of \(comparison.metric): " + absent.map { "\($0.id)" }.joined(separator: ", "))
    }
    return sections.joined(separator: "\n\n")
  }

  private static func value<Value>(
    of run: RunSetComparison.Run, _ values: [Value?], _ comparison: RunSetComparison
  ) -> Value? {
    zip(comparison.runs, values).first { $0.0.id == run.id }?.1
  }

  private static func headings(_ comparison: RunSetComparison) -> [Table.Column] {
    comparison.runs.map { .init("\($0.id)".uppercased(), shrinks: true) }
  }

  private static func runs(_ comparison: RunSetComparison, _ times: TimeText) -> Table {
    var table = Table([
      .init("RUN"), .init("NAME", shrinks: true), .init("STATE"), .init("SUBMITTED", drops: 0),
      .init("ATTEMPTS", isRight: true), .init("RAN", isRight: true), .init("NODE HOURS", isRight: true),
      .init("GPU HOURS", isRight: true), .init("WORDS", drops: 1),
    ])
    for run in comparison.runs {
      table.add([
        "\(run.id)", .init(run.name), .init(run.state.rawValue), .init(times.absolute(run.submittedAt)),
        "\(run.attempts)", "\(TimeSpan.seconds(run.ranSeconds))", .init(hours(run.cost.nodeSeconds)),
        .init(hours(run.cost.gpuSeconds)), .init(run.tags.joined(separator: ", ")),
      ])
    }
    return table
  }

  static func hours(_ seconds: Double) -> String { Plot.fixed(seconds / 3600, seconds < 36_000 ? 3 : 1) }

  private static func differences(_ comparison: RunSetComparison) -> Table {
    var table = Table([.init("DIFFERS"), .init("")] + headings(comparison))
    var last = ""
    for difference in comparison.differences {
      table.add(
        [.init(difference.section == last ? "" : difference.section), .init(difference.key)]
          + difference.values.map { .init($0 ?? "-") })
      last = difference.section
    }
    return table
  }

  private static func files(
    _ comparison: RunSetComparison, showsHunks: Bool, _ paint: (String, Ink?) -> String
  ) -> String {
    let first = comparison.runs.first.map { "\($0.id)" } ?? ""
    var lines = ["code that differs from that of \(first):"]
    for file in comparison.files.prefix(filesMost) {
      let change = file.change == "changed" ? "M" : file.change == "added" ? "A" : "D"
      lines.append("  \(change) \(Printable.line(file.path))  (\(file.run))")
      guard showsHunks, let diff = file.diff else { continue }
      for line in diff.split(separator: "\n", omittingEmptySubsequences: false) {
        let ink: Ink? = line.hasPrefix("+") ? .green : line.hasPrefix("-") ? .red : line.hasPrefix("@@") ? .cyan : nil
        lines.append("    " + paint(Printable.line(String(line)), ink))
      }
    }
    if comparison.files.count > filesMost { lines.append("  and \(comparison.files.count - filesMost) more (--json)") }
    if !showsHunks, comparison.files.contains(where: { $0.diff != nil }) { lines.append("  (--diff shows the hunks)") }
    return lines.joined(separator: "\n")
  }

  private static func plot(_ comparison: RunSetComparison, _ curves: [MetricSeries]) -> Plot? {
    let points = curves.map { series in zip(series.steps, series.values).map { Plot.Point(x: Double($0), y: $1) } }
    guard let first = points.first, points.contains(where: { !$0.isEmpty }) else { return nil }
    return Plot(title: comparison.metric, xLabel: "step", points: first, overlays: Array(points.dropFirst()))
  }

  private static func legend(_ comparison: RunSetComparison) -> String {
    comparison.runs.enumerated().map { "\(Plot.letter($0)) \($1.id) (\(Printable.line($1.name)))" }
      .joined(separator: "   ") + "   * several"
  }

  private static func results(_ comparison: RunSetComparison) -> Table {
    var table = Table([.init("RESULT"), .init("")] + headings(comparison))
    for result in comparison.results {
      let rows: [(String, [String])] = [
        (
          "last",
          zip(result.last, result.lastStep).map { value, step in "\(number(value))\(step.map { " at \($0)" } ?? "")" }
        ),
        ("lowest", result.lowest.map(number)), ("highest", result.highest.map(number)),
      ]
      for (index, row) in rows.enumerated() {
        table.add([.init(index == 0 ? result.metric : ""), .init(row.0)] + row.1.map { .init($0) })
      }
    }
    return table
  }

  private static func number(_ value: Double?) -> String { value.map { "\($0)" } ?? "-" }
}
