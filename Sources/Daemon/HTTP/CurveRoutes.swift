import Domain
import Hummingbird
import Store
import Wire

/// Curves of runs over HTTP: thinned out for who looks at them, every value for who computes with them.
enum CurveRoutes {
  /// More points of one curve than this tell nothing that a screen can show.
  static let shown = 2000
  /// So many points come at a time at most.
  private static let pageMost = 100_000

  static let all: [Route] = [
    Route(
      method: .get, path: "/runs/{run}/metrics/{metric}", access: .viewer,
      summary: "A curve: one value a step, whatever happened in between; with exact=true none is left out",
      gives: MetricSeries.self
    ) { call in
      let run = try await RunRoutes.find(call, "run")
      let metric = try call.parameter("metric")
      let (from, to) = try stretch(call)
      let isExact = try call.flag("exact")
      let limit = try call.number("limit", within: 1...pageMost, standard: isExact ? pageMost : shown)
      return try .json(
        await MetricSeries.build(run, metric, from: from, to: to, limit: limit, isExact: isExact, call.services))
    },
    Route(
      method: .get, path: "/runs/{run}/metrics/{metric}/archived", access: .viewer,
      summary: "What left a curve since the run went on from before it", gives: ArchivedSeries.self
    ) { call in
      let run = try await RunRoutes.find(call, "run")
      let metric = try call.parameter("metric")
      let (from, to) = try stretch(call)
      let limit = try call.number("limit", within: 1...pageMost, standard: pageMost)
      let points = try await call.services.store.archivedPoints(of: run.job, metric, from: from, to: to, limit: limit)
      var series = ArchivedSeries(metric, points)
      if points.count >= limit, let last = points.last, last.point.step < to { series.next = Int(last.point.step) + 1 }
      return try .json(series)
    },
  ]

  /// Which steps are asked for: `from` and `to`, both of them too, or those greater than `after`.
  private static func stretch(_ call: Call) throws -> (from: Int64, to: Int64) {
    let after = try call.number("after", within: 0...(Int.max - 1), standard: 0)
    let from = try call.number("from", within: 0...Int.max, standard: after > 0 ? after + 1 : 0)
    let to = try call.number("to", within: 0...Int.max, standard: .max)
    guard from <= to else { throw APIFailure(.badRequest, "'from' (\(from)) is greater than 'to' (\(to))") }
    return (Int64(from), Int64(to))
  }
}

extension MetricSeries {
  /// A curve as it is shown, with where attempts took over.
  static func build(
    _ run: RunID, _ metric: String, from: Int64 = 0, to: Int64 = .max, limit: Int = CurveRoutes.shown,
    isExact: Bool = false, _ services: Services
  ) async throws -> MetricSeries {
    let store = services.store
    let points =
      isExact
      ? try await store.exactSeries(run.job, metric, from: from, to: to, limit: limit)
      : try await store.series(run.job, metric, from: from, to: to, maxPoints: limit)
    var series = MetricSeries(metric, points)
    series.total = try await store.seriesExtent(run.job, metric, from: from, to: to)?.points ?? 0
    if isExact, points.count == limit, let last = points.last, last.step < to { series.next = Int(last.step) + 1 }
    // Who reads part after part has them from the first.
    guard !isExact || from == 0 else { return series }
    series.boundaries = CurveBoundary.all(
      try await store.boundaries(of: run.job, metric), attempts: try await store.attempts(of: run.job),
      handoffs: Handoff.all(of: try await store.moments(of: run.job)),
      redone: try await store.stepsRedone(of: run.job, metric))
    return series
  }

  /// A curve, and nothing beside it.
  init(_ metric: String, _ points: [SeriesPoint]) {
    self.init(
      metric: metric, steps: points.map { Int($0.step) }, values: points.map(\.value),
      attempts: points.map(\.attemptNumber), recordedAt: points.map(\.recordedAt))
  }
}

extension ArchivedSeries {
  /// What left a curve.
  init(_ metric: String, _ points: [ArchivedPoint]) {
    self.init(
      metric: metric, steps: points.map { Int($0.point.step) }, values: points.map(\.point.value),
      attempts: points.map(\.point.attemptNumber), recordedAt: points.map(\.point.recordedAt),
      archivedAt: points.map(\.archivedAt), reasons: points.map(\.reason))
  }
}

extension CurveBoundary {
  /// Where attempts took over, with cause and cost.
  ///
  /// `redone` are the steps that each attempt, by number, computed again. Where several attempts lie between two points of
  /// the curve, some having computed nothing, their costs are one.
  static func all(
    _ places: [SeriesBoundary], attempts: [AttemptRecord], handoffs: [Handoff], redone: [Int: Int]
  ) -> [CurveBoundary] {
    places.map { place in
      let (from, to) = (place.before.attemptNumber, place.after.attemptNumber)
      let last = attempts.last { $0.number < to && $0.outcome != nil }
      let between = handoffs.filter { $0.from >= from && $0.to <= to }
      return CurveBoundary(
        before: Int(place.before.step), after: Int(place.after.step), from: from, to: to, cause: last?.outcome,
        detail: last?.reasonDetail, stepsRedone: redone.filter { from < $0.key && $0.key <= to }.values.reduce(0, +),
        stoodStill: between.isEmpty ? nil : between.map(\.total).reduce(.zero, +),
        besideGap: between.isEmpty ? nil : between.map(\.besideGap).reduce(.zero, +))
    }
  }
}
