public import Domain
public import Wire

/// What `/runs/compare` shows.
public struct CompareContent: Hashable, Sendable {
  /// The runs side by side.
  public var comparison: RunSetComparison
  /// The curve of each, in their order; without points where a run has none.
  public var curves: [MetricSeries]

  /// The content of `/runs/compare`.
  public init(comparison: RunSetComparison, curves: [MetricSeries]) {
    self.comparison = comparison
    self.curves = curves
  }
}

extension PageRenderer {
  /// `/runs/compare?run=1&run=2`.
  public func compare(_ content: CompareContent, at now: Timestamp, in frame: Frame) -> String {
    page(.compare, CompareModel(content), title: "Compare", section: .runs, in: frame)
  }
}

private struct CompareModel {
  struct Run {
    let id: String
    let link: String
    let name: String
    let kind: String
    let state: String
    let attempts: String
    let ran: String
    let nodeHours: String
    let gpuHours: String
  }

  struct Row {
    let section: String
    let key: String
    let values: [String]
  }

  struct File {
    let path: String
    let change: String
    let run: String
    let diff: String?
  }

  struct Metric {
    let name: String
    let link: String
    let isCurrent: Bool
  }

  let metric: String
  let chart: String?
  let runs: [Run]
  let metrics: [Metric]
  let rows: [Row]
  let hasRows: Bool
  let files: [File]
  let hasFiles: Bool
  let results: [Row]
  let hasResults: Bool
  let verdicts: [String]

  init(_ content: CompareContent) {
    let comparison = content.comparison
    metric = comparison.metric
    let entries = zip(comparison.runs, content.curves).enumerated().map {
      CompareChart.Entry(name: "\($1.0.id)", place: $0, series: $1.1)
    }
    chart = CompareChart(entries, metric: comparison.metric)?.html
    runs = comparison.runs.enumerated().map { place, run in
      Run(
        id: "\(run.id)", link: "/runs/\(run.id.rawValue)", name: run.name, kind: CompareChart.kind(place),
        state: run.state.rawValue, attempts: "\(run.attempts)", ran: "\(TimeSpan.seconds(run.ranSeconds))",
        nodeHours: decimal(run.cost.nodeSeconds / 3600, digits: 3),
        gpuHours: decimal(run.cost.gpuSeconds / 3600, digits: 3))
    }
    let address = "/runs/compare?" + comparison.runs.map { "run=\($0.id.rawValue)" }.joined(separator: "&")
    metrics = comparison.results.map {
      Metric(
        name: $0.metric, link: "\(address)&metric=\(pathComponent($0.metric))",
        isCurrent: $0.metric == comparison.metric)
    }
    rows = comparison.differences.map {
      Row(section: $0.section, key: $0.key, values: $0.values.map { $0 ?? "\u{2013}" })
    }
    hasRows = !rows.isEmpty
    files = comparison.files.map { File(path: $0.path, change: $0.change, run: "\($0.run)", diff: $0.diff) }
    hasFiles = !files.isEmpty
    func texts(_ values: [Double?]) -> [String] { values.map { $0.map(shown) ?? "\u{2013}" } }
    results = comparison.results.flatMap { result in
      [
        Row(section: result.metric, key: "last", values: texts(result.last)),
        Row(section: "", key: "lowest", values: texts(result.lowest)),
        Row(section: "", key: "highest", values: texts(result.highest)),
      ]
    }
    hasResults = !results.isEmpty
    verdicts = comparison.curves.map { curve in
      guard let first = curve.firstDifference else {
        let isOne = curve.onlyInRun == 0 && curve.onlyInOther == 0
        return
          "\(curve.other) has \(isOne ? "the curve" : "the values, as far as both go,") of \(curve.run), bit for bit"
      }
      return
        "\(curve.other) parts from \(curve.run) at step \(grouped(first.step)): \(shown(first.value)) and \(shown(first.otherValue))"
    }
  }
}
