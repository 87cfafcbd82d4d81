import Domain
import Wire

/// A metric over the steps of a run, with where one attempt took over from another, and the checkpoints.
struct CurveChart {
  /// A place where a later attempt went on.
  struct Boundary: Hashable {
    /// Between the last step of one and the first of the next.
    var step: Double
    /// The attempt that went on.
    var attempt: Int
    /// How the one before it ended: `LEASE_ENDED`.
    var cause: String
    /// Steps that were computed again; nil where that is not known.
    var redone: Int?
    /// How long the run stood still; nil where that is not known.
    var stoodStill: TimeSpan?

    /// What it cost, in words; empty where nothing is known.
    var cost: String {
      let again = redone.map { $0 > 0 ? grouped($0) + ($0 == 1 ? " step redone" : " steps redone") : "no step redone" }
      return [again, stoodStill.map { "\($0) still" }].compactMap { $0 }.joined(separator: ", ")
    }

    /// All of it in a sentence.
    var sentence: String {
      "attempt \(attempt) went on here; before it: \(cause)\(cost.isEmpty ? "" : "; " + cost)"
    }
  }

  /// More points than this tell nothing that a screen can show.
  static let pointsMost = 1500

  let metric: String
  /// Where the curve is drawn, in stretches: a value that is no number parts it.
  let stretches: [[CurvePoint]]
  let boundaries: [Boundary]
  let checkpoints: [CheckpointView]
  /// How many values were no numbers.
  let notNumbers: Int
  private let scale: PlotScale

  /// A chart of `series`; nil where no value is a number.
  init?(
    _ series: MetricSeries, attempts: [AttemptView], checkpoints: [CheckpointView] = [], redone: [Int: Int]? = nil,
    height: Double = 240
  ) {
    let curve = Stretches(steps: series.steps, values: series.values, most: Self.pointsMost)
    guard let scale = PlotScale(curve.finite, marks: checkpoints.map(\.step), height: height) else { return nil }
    self.scale = scale
    metric = series.metric
    stretches = curve.drawn
    notNumbers = curve.notNumbers
    self.checkpoints = checkpoints
    boundaries = Self.boundaries(series, attempts, redone)
  }

  /// Where the number of the attempt changes along the curve.
  static func boundaries(_ series: MetricSeries, _ attempts: [AttemptView], _ redone: [Int: Int]?) -> [Boundary] {
    if let told = series.boundaries {
      return told.map {
        Boundary(
          step: (Double($0.before) + Double($0.after)) / 2, attempt: $0.to, cause: $0.cause?.rawValue ?? "",
          redone: $0.stepsRedone, stoodStill: $0.stoodStill)
      }
    }
    var found: [Boundary] = []
    let count = min(series.steps.count, series.attempts.count)
    for place in 1..<max(count, 1) where series.attempts[place] != series.attempts[place - 1] {
      let next = series.attempts[place]
      let before = attempts.last { $0.number < next && $0.outcome != nil }
      found.append(
        Boundary(
          step: (Double(series.steps[place - 1]) + Double(series.steps[place])) / 2, attempt: next,
          cause: before?.outcome?.rawValue ?? "", redone: redone.map { $0[next] ?? 0 }))
    }
    return found
  }

  /// How far along the width a step is, from 0 to 1.
  func share(ofStep step: Double) -> Double { scale.share(ofStep: step) }

  // MARK: - Drawing

  private static let labelHeight = 30.0

  /// In which row the label of each boundary stands, so that no two overlap; nil where there is no room for it.
  var labelRows: [Int?] {
    var ends = [Double](repeating: -1, count: 3)
    return boundaries.map { boundary in
      let at = share(ofStep: boundary.step)
      guard let row = ends.firstIndex(where: { $0 < at }) else { return nil }
      ends[row] = at + 0.17
      return row
    }
  }

  /// The chart as HTML.
  var html: String {
    let rows = labelRows
    let top = Double((rows.compactMap { $0 }.max() ?? -1) + 1) * Self.labelHeight + 8
    let bottom = top + scale.height
    let lane = checkpoints.isEmpty ? 0.0 : 26
    return scale.chart(
      full: bottom + lane + 24, top: top, label: "\(metric) by step, \(stretches.joined().count) points",
      margin: { if lane > 0 { PlotScale.inMargin("saved", at: bottom + 17, &$0) } },
      { plot in
        scale.drawGrid(&plot, top: top, lane: lane)
        drawBoundaries(&plot, rows, top: top)
        scale.drawCurve(&plot, stretches, top: top)
        drawCheckpoints(&plot, at: bottom + 13)
      })
  }

  private func drawBoundaries(_ plot: inout Markup, _ rows: [Int?], top: Double) {
    for (boundary, row) in zip(boundaries, rows) {
      let at = share(ofStep: boundary.step)
      let x = percent(at)
      let labelTop = row.map { Double($0) * Self.labelHeight } ?? top
      let cost = boundary.cost
      plot.element("g", ["class": "boundary"]) { mark in
        mark.element("title") { $0.write(boundary.sentence) }
        mark.element("line", ["x1": x, "x2": x, "y1": coordinate(labelTop), "y2": coordinate(top + scale.height)])
        guard row != nil else { return }
        let isLate = at > 0.82
        let place = ["x": x, "dx": isLate ? "-6" : "6", "text-anchor": isLate ? "end" : "start"]
        let first = place.merging(["y": coordinate(labelTop + 11)]) { $1 }
        mark.element("text", first.merging(["class": "cause long"]) { $1 }) {
          $0.write("\(boundary.cause) \u{2192} attempt \(boundary.attempt)")
        }
        mark.element("text", first.merging(["class": "cause short"]) { $1 }) {
          $0.write("\u{2192} \(boundary.attempt)")
        }
        guard !cost.isEmpty else { return }
        mark.element("text", place.merging(["class": "long", "y": coordinate(labelTop + 24)]) { $1 }) {
          $0.write(cost)
        }
      }
    }
  }

  /// A shape of its own for each state: colour alone does not tell.
  private func drawCheckpoints(_ plot: inout Markup, at y: Double) {
    for checkpoint in checkpoints {
      let x = percent(share(ofStep: Double(checkpoint.step)))
      plot.element("svg", ["x": x, "y": coordinate(y), "overflow": "visible", "width": "1", "height": "1"]) { mark in
        mark.element("g", ["class": "mark mark-\(checkpoint.state.rawValue.lowercased())"]) { group in
          group.element("title") {
            let latest = checkpoint.isLatest ? ", the one to resume from" : ""
            $0.write("step \(checkpoint.step): \(checkpoint.state.rawValue)\(latest)")
          }
          group.element("path", ["d": Self.shape(checkpoint.state)])
          if checkpoint.isLatest { group.element("circle", ["class": "latest", "r": "9"]) }
        }
      }
    }
  }

  /// A diamond, a cross, a ring, a triangle.
  static func shape(_ state: CheckpointState) -> String {
    switch state {
    case .durable: "M0-6L5 0L0 6L-5 0Z"
    case .corrupt: "M-4-4L4 4M4-4L-4 4"
    case .pruned: "M-4 0A4 4 0 1 1 4 0A4 4 0 1 1-4 0Z"
    case .local, .uploading: "M0-5L5 4L-5 4Z"
    }
  }
}
