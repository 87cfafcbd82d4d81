public import Domain
public import Wire

/// A run of a report.
public struct ReportContent: Hashable, Sendable {
  /// The run.
  public var run: RunView
  /// The curves to draw, in this order.
  public var curves: [MetricSeries]
  /// What its ranks left to be kept; nil where that is not told.
  public var artifacts: ArtifactListing?

  /// A run of a report.
  public init(run: RunView, curves: [MetricSeries], artifacts: ArtifactListing? = nil) {
    self.run = run
    self.curves = curves
    self.artifacts = artifacts
  }
}

extension PageRenderer {
  /// A page about `runs` that holds all it needs, for a paper's supplement: it asks for nothing and runs nothing.
  ///
  /// `title` nil is the names of the runs.
  public func report(_ runs: [ReportContent], title: String? = nil, at now: Timestamp) -> String {
    let names = runs.map { "\($0.run.job.name) (\($0.run.id))" }.joined(separator: ", ")
    return render(ReportModel(runs, title: title ?? names, now), .report)
  }
}

private struct ReportModel {
  struct Curve {
    let metric: String
    let last: String
    let count: String
    let chart: String?
    let hasMarks: Bool
    let notNumbers: Int?
  }

  struct Boundary {
    let metric: String
    let step: String
    let attempts: String
    let cause: String
    let detail: String?
    let redone: String
    let stoodStill: String
  }

  /// A metric that several runs have.
  struct Overlay {
    struct Entry {
      let anchor: String
      let name: String
      let kind: String
    }

    let metric: String
    let count: String
    let chart: String
    let entries: [Entry]
    let without: String?
  }

  /// Metrics that several runs have and that are not drawn.
  struct Rest {
    struct Row {
      let metric: String
      let values: [String]
    }

    let count: String
    let runs: [String]
    let rows: [Row]
  }

  /// Results beyond those that are seen at once.
  struct Folded {
    let count: String
    let results: [RunModel.Metric]
  }

  /// So many results of a run are seen at once.
  static let resultsMost = 20

  struct Run {
    let anchor: String
    let model: RunModel
    let curves: [Curve]
    let hasCurves: Bool
    let boundaries: [Boundary]
    let hasBoundaries: Bool
    let results: [RunModel.Metric]
    let hasResults: Bool
    let folded: Folded?
    let artifacts: ArtifactsModel?
    let began: Moment?
    let owner: String
    let exit: String
  }

  let title: String
  let made: Moment
  let runs: [Run]
  let hasSeveral: Bool
  let overlays: [Overlay]
  let rest: Rest?
  /// What is not drawn, and how it would be.
  let notDrawn: String?
  let style: String

  init(_ contents: [ReportContent], title: String, _ now: Timestamp) {
    self.title = title
    made = Moment(now)
    style = String(decoding: Asset.style.bytes, as: UTF8.self)
    hasSeveral = contents.count > 1
    overlays = Self.overlays(contents)
    let names = MetricOrder.names(of: contents.map(\.run.metrics))
    let drawn = Set(contents.flatMap(\.curves).map(\.metric))
    rest = Self.rest(contents, of: names.filter { !drawn.contains($0) })
    let missing = names.count { !drawn.contains($0) }
    notDrawn = missing > 0 ? "Drawn: \(grouped(names.count - missing)) of \(counted(names.count, "metric"))." : nil
    runs = contents.map { content in
      let run = content.run
      let model = RunModel(RunContent(run: run, series: nil, redone: Self.redone(content)), now)
      let boundaries = content.curves.first.map(Self.boundaries) ?? []
      let results = Self.ordered(model.metrics, names)
      let folded = Array(results.dropFirst(Self.resultsMost))
      return Run(
        anchor: "\(run.id)", model: model, curves: content.curves.map { Self.curve($0, of: run) },
        hasCurves: !content.curves.isEmpty, boundaries: boundaries, hasBoundaries: !boundaries.isEmpty,
        results: Array(results.prefix(Self.resultsMost)), hasResults: model.hasMetrics,
        folded: folded.isEmpty ? nil : Folded(count: counted(folded.count, "more metric"), results: folded),
        artifacts: Self.artifacts(content),
        began: run.attempts.first.map { Moment($0.createdAt) },
        owner: "\(run.job.project)/\(run.job.user)", exit: run.job.reasonDetail ?? run.job.reason)
    }
  }

  /// What is told of artifacts; nil where a run left none.
  private static func artifacts(_ content: ReportContent) -> ArtifactsModel? {
    guard let listing = content.artifacts else { return nil }
    let missing = listing.missing ?? []
    if listing.items.isEmpty, missing.isEmpty, listing.unknown == nil { return nil }
    return ArtifactsModel(
      ArtifactContent(
        items: listing.items, isWhole: listing.unknown == nil, missing: missing, problem: listing.unknown),
      of: content.run)
  }

  private static func curve(_ series: MetricSeries, of run: RunView) -> Curve {
    let chart = CurveChart(series, attempts: run.attempts, checkpoints: run.checkpoints)
    let total = series.total ?? series.steps.count
    let isThin = total > series.steps.count
    return Curve(
      metric: series.metric, last: series.values.last.map(shown) ?? "",
      count: grouped(total) + (total == 1 ? " value" : " values")
        + (isThin ? ", drawn from \(grouped(series.steps.count)) of them, every extreme among these" : ""),
      chart: chart?.html, hasMarks: chart != nil && !run.checkpoints.isEmpty,
      notNumbers: chart.flatMap { $0.notNumbers > 0 ? $0.notNumbers : nil })
  }

  /// A chart for each metric that has numbers in two runs or more.
  private static func overlays(_ contents: [ReportContent]) -> [Overlay] {
    var metrics: [String] = []
    for series in contents.flatMap(\.curves) where !metrics.contains(series.metric) { metrics.append(series.metric) }
    return metrics.compactMap { metric in
      let entries = contents.enumerated().compactMap { place, content in
        content.curves.first { $0.metric == metric && $0.values.contains { $0.isFinite } }.map {
          CompareChart.Entry(
            name: "\(content.run.id)", place: place, series: $0, attempts: content.run.attempts)
        }
      }
      guard entries.count > 1, let chart = CompareChart(entries, metric: metric) else { return nil }
      let places = Set(entries.map(\.place))
      let without = contents.indices.filter { !places.contains($0) }.map { "\(contents[$0].run.id)" }
      return Overlay(
        metric: metric, count: counted(entries.count, "run"), chart: chart.html,
        entries: entries.map {
          Overlay.Entry(
            anchor: $0.name, name: contents[$0.place].run.job.name, kind: CompareChart.kind($0.place))
        }, without: without.isEmpty ? nil : without.joined(separator: ", "))
    }
  }

  private static func ordered(_ metrics: [RunModel.Metric], _ names: [String]) -> [RunModel.Metric] {
    let known = Dictionary(metrics.map { ($0.name, $0) }) { first, _ in first }
    return names.compactMap { known[$0] }
  }

  /// The last values of those of `names` that two runs or more have.
  private static func rest(_ contents: [ReportContent], of names: [String]) -> Rest? {
    let values = contents.map { content in
      Dictionary(content.run.metrics.map { ($0.metric, shown($0.lastValue)) }) { first, _ in first }
    }
    let rows = names.compactMap { name -> Rest.Row? in
      let own = values.map { $0[name] }
      guard own.count(where: { $0 != nil }) > 1 else { return nil }
      return Rest.Row(metric: name, values: own.map { $0 ?? "\u{2013}" })
    }
    guard !rows.isEmpty else { return nil }
    return Rest(
      count: counted(rows.count, "more metric"), runs: contents.map { "\($0.run.id)" }, rows: rows)
  }

  private static func boundaries(_ series: MetricSeries) -> [Boundary] {
    (series.boundaries ?? []).map { boundary in
      Boundary(
        metric: series.metric, step: grouped(boundary.after), attempts: "\(boundary.from) \u{2192} \(boundary.to)",
        cause: boundary.cause?.rawValue ?? "", detail: boundary.detail, redone: grouped(boundary.stepsRedone),
        stoodStill: boundary.stoodStill.map { "\($0)" } ?? "\u{2013}")
    }
  }

  private static func redone(_ content: ReportContent) -> [Int: Int] {
    let told = content.curves.first?.boundaries ?? []
    return Dictionary(told.map { ($0.to, $0.stepsRedone) }) { $0 + $1 }
  }
}
