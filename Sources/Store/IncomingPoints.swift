/// The points of 1,024 steps of one metric, which `metric_bucket` has in short.
struct MetricBucket: Hashable, Sendable {
  /// How many steps one has.
  static let steps: Int64 = 1024

  /// Of which metric.
  var metric: String
  /// The step divided by `steps`.
  var number: Int64
}

/// The points of a batch, by what it takes to write them.
struct IncomingPoints: Hashable, Sendable {
  /// Those that lie behind the end of their curve, each metric's by step: nothing can be there yet.
  private(set) var fresh: [MetricPoint] = []
  /// All others, in their order; to be written after `fresh`.
  private(set) var others: [MetricPoint] = []
  /// Every bucket that they touch.
  private(set) var buckets: Set<MetricBucket> = []

  /// Sorts `points`, where `ends` is the last step of each metric that has a point.
  init(_ points: [MetricPoint], after ends: [String: Int64]) {
    var ends = ends
    var newest: [String: Int64] = [:]
    fresh.reserveCapacity(points.count)
    for point in points {
      let end = ends[point.metric]
      if end.map({ point.step > $0 }) ?? true {
        fresh.append(point)
        ends[point.metric] = point.step
      } else {
        others.append(point)
      }
      // Neighbours are mostly of the bucket before: it is not looked up again.
      let number = point.step / MetricBucket.steps
      if newest.updateValue(number, forKey: point.metric) != number {
        buckets.insert(MetricBucket(metric: point.metric, number: number))
      }
    }
  }
}
