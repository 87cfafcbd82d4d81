import Domain
import Wire

/// How many steps a second a run made, from the times of its metric's points.
enum StepPace {
  /// Steps a second over all attempts, without the first `warmUp` steps of each; nil where too little is left to tell.
  ///
  /// Of each attempt the time from the first point that counts to the last one is taken, and the steps in between. So what
  /// lies between two attempts, and what a program does before its first step, costs nothing.
  static func stepsPerSecond(_ series: MetricSeries, warmUp: Int) -> Double? {
    guard let times = series.recordedAt, times.count == series.steps.count else { return nil }
    var steps = 0
    var seconds = 0.0
    var start = 0
    while start < series.steps.count {
      var end = start
      while end < series.steps.count, series.attempts[end] == series.attempts[start] { end += 1 }
      let first = (start..<end).first { series.steps[$0] >= series.steps[start] + warmUp }
      if let first, end - 1 > first {
        steps += series.steps[end - 1] - series.steps[first]
        seconds += (times[end - 1] - times[first]).seconds
      }
      start = end
    }
    return steps > 0 && seconds > 0 ? Double(steps) / seconds : nil
  }

  /// The mean of a metric's values without those of the first `warmUp` steps of each attempt; nil where none is left.
  static func mean(_ series: MetricSeries, warmUp: Int) -> Double? {
    var firstSteps: [Int: Int] = [:]
    var sum = 0.0
    var count = 0
    for (index, step) in series.steps.enumerated() {
      let first = firstSteps[series.attempts[index], default: step]
      firstSteps[series.attempts[index]] = first
      guard step >= first + warmUp, series.values[index].isFinite else { continue }
      sum += series.values[index]
      count += 1
    }
    return count > 0 ? sum / Double(count) : nil
  }
}

/// What a study asks, and all that decides what its numbers mean.
struct StudyQuestion: Codable, Hashable, Sendable {
  /// What is varied.
  enum Kind: String, Codable, Hashable, Sendable, CaseIterable {
    /// The number of nodes: `${{ matrix.nodes }}` in the file.
    case scaling
    /// Images a step: `${{ matrix.batch }}` in the file.
    case batch

    /// The word in the matrix.
    var axis: String { self == .scaling ? "nodes" : "batch" }
  }

  var kind: Kind
  /// What is tried, in rising order.
  var values: [Int]
  /// Runs of each.
  var repeats: Int
  /// The metric that is looked at.
  var metric: String
  /// Whether its values are images a second; else its points' times are looked at.
  var metricIsRate: Bool
  /// Images of a step, where they are not what is varied.
  var imagesPerStep: Int?
  /// Whether that is of each node, and a step so many times as much.
  var isPerNode: Bool
  /// Steps at the beginning of each attempt that do not count.
  var warmUp: Int

  /// Images a second of a run that was made with `value`; nil where its series is too short.
  func rate(_ series: MetricSeries, value: Int) -> Double? {
    if metricIsRate { return StepPace.mean(series, warmUp: warmUp) }
    guard let pace = StepPace.stepsPerSecond(series, warmUp: warmUp) else { return nil }
    let images = imagesPerStep ?? (kind == .batch ? value : 1)
    return pace * Double(images) * (isPerNode && kind == .scaling ? Double(value) : 1)
  }
}

/// What came out of a study.
struct StudyResult: Codable, Hashable, Sendable {
  /// All runs of one value.
  struct Row: Codable, Hashable, Sendable {
    /// Nodes, or batch size.
    var value: Int
    /// Images a second of each run.
    var rates: [Double]
    /// Their mean.
    var mean: Double
    /// Their standard deviation, as of a sample; nil of a single run.
    var deviation: Double?
    /// The mean over that of the first row.
    var speedUp: Double
    /// How far off that may be, from both deviations; nil where one is missing.
    var speedUpDeviation: Double?
    /// The speed-up over how many times as much the value is: 1 where twice the nodes are twice as fast.
    var efficiency: Double
  }

  var kind: StudyQuestion.Kind
  var rows: [Row]

  /// Sums up rates by value; a value without any is left out.
  init(_ kind: StudyQuestion.Kind, rates: [Int: [Double]]) {
    self.kind = kind
    rows = []
    for (value, rates) in rates.sorted(by: { $0.key < $1.key }) where !rates.isEmpty {
      let mean = rates.reduce(0, +) / Double(rates.count)
      let deviation = Self.deviation(rates, mean: mean)
      let base = rows.first.map { ($0.value, $0.mean, $0.deviation) } ?? (value, mean, deviation)
      let speedUp = mean / base.1
      var spread: Double?
      if let deviation, let baseDeviation = base.2, value != base.0 {
        let (own, first) = (deviation / mean, baseDeviation / base.1)
        spread = speedUp * (own * own + first * first).squareRoot()
      }
      rows.append(
        Row(
          value: value, rates: rates, mean: mean, deviation: deviation, speedUp: speedUp, speedUpDeviation: spread,
          efficiency: speedUp * Double(base.0) / Double(value)))
    }
  }

  private static func deviation(_ values: [Double], mean: Double) -> Double? {
    guard values.count > 1 else { return nil }
    let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    return (squares / Double(values.count - 1)).squareRoot()
  }
}
