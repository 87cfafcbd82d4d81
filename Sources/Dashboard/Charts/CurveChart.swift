import Domain
import Wire

/// A metric over the steps of a run, with where one attempt took over from another, and the checkpoints.
///
/// Horizontal places are shares of the width, so that the chart is as wide as its page and its texts stay as they are.
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
  private let steps: ClosedRange<Double>
  private let values: ClosedRange<Double>
  private let height: Double

  /// A chart of `series`; nil where no value is a number.
  init?(
    _ series: MetricSeries, attempts: [AttemptView], checkpoints: [CheckpointView] = [], redone: [Int: Int]? = nil,
    height: Double = 240
  ) {
    let count = min(series.steps.count, series.values.count)
    let finite = (0..<count).filter { series.values[$0].isFinite }.map {
      CurvePoint(step: series.steps[$0], value: series.values[$0])
    }
    guard let first = finite.first, let last = finite.last else { return nil }
    metric = series.metric
    notNumbers = count - finite.count
    self.height = height
    self.checkpoints = checkpoints
    boundaries = Self.boundaries(series, attempts, redone)
    stretches = Self.stretches(downsampled(finite, most: Self.pointsMost), series)
    let low = Double(min(first.step, checkpoints.map(\.step).min() ?? first.step))
    let high = Double(max(last.step, checkpoints.map(\.step).max() ?? last.step))
    steps = low < high ? low...high : (low - 1)...(high + 1)
    let lowest = finite.map(\.value).min() ?? 0
    let highest = finite.map(\.value).max() ?? 0
    let room = lowest < highest ? (highest - lowest) * 0.04 : max(lowest.magnitude * 0.1, 1e-9)
    let ends = (lowest - room, highest + room)
    values = ends.0.isFinite && ends.1.isFinite ? ends.0...ends.1 : lowest...highest
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

  /// Parts the curve where values were left out since they are no numbers.
  private static func stretches(_ points: [CurvePoint], _ series: MetricSeries) -> [[CurvePoint]] {
    let gaps = zip(series.steps, series.values).filter { !$0.1.isFinite }.map(\.0)
    var stretches: [[CurvePoint]] = [[]]
    var gap = gaps.startIndex
    for point in points {
      var parted = false
      while gap < gaps.endIndex, gaps[gap] < point.step {
        gap += 1
        parted = true
      }
      if parted, !stretches[stretches.count - 1].isEmpty { stretches.append([]) }
      stretches[stretches.count - 1].append(point)
    }
    return stretches
  }

  /// How far along the width a step is, from 0 to 1.
  func share(ofStep step: Double) -> Double {
    0.012 + 0.976 * (step - steps.lowerBound) / (steps.upperBound - steps.lowerBound)
  }

  /// How far down a value is, in pixels below the top of the plot.
  func depth(of value: Double) -> Double {
    guard values.lowerBound < values.upperBound else { return height / 2 }
    return height * (values.upperBound - value) / (values.upperBound - values.lowerBound)
  }

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
    let lane = checkpoints.isEmpty ? 0.0 : 26
    let full = top + height + lane + 24
    let ticks = Ticks.values(from: values.lowerBound, to: values.upperBound, most: 6)
    var page = Markup()
    page.element("div", ["class": "chart"]) { chart in
      chart.element("svg", ["class": "chart-scale", "width": "64", "height": coordinate(full), "aria-hidden": "true"]) {
        scale in
        for tick in ticks {
          scale.element("text", ["x": "58", "y": coordinate(top + depth(of: tick) + 4), "text-anchor": "end"]) {
            $0.write(shown(tick))
          }
        }
        if lane > 0 {
          scale.element("text", ["x": "58", "y": coordinate(top + height + 17), "text-anchor": "end"]) {
            $0.write("saved")
          }
        }
      }
      chart.element("div", ["class": "chart-scroll", "tabindex": "0"]) { scroll in
        let name = "\(metric) by step, \(stretches.joined().count) points"
        scroll.element(
          "svg",
          ["class": "chart-plot", "width": "100%", "height": coordinate(full), "role": "img", "aria-label": name]
        ) { plot in
          drawGrid(&plot, ticks, top: top, lane: lane)
          drawBoundaries(&plot, rows, top: top)
          drawCurve(&plot, top: top)
          drawCheckpoints(&plot, at: top + height + 13)
        }
      }
    }
    return page.text
  }

  private func drawGrid(_ plot: inout Markup, _ ticks: [Double], top: Double, lane: Double) {
    for tick in ticks {
      let y = coordinate(top + depth(of: tick))
      plot.element("line", ["class": "grid", "x1": "0", "x2": "100%", "y1": y, "y2": y])
    }
    let base = top + height + lane
    plot.element("line", ["class": "axis", "x1": "0", "x2": "100%", "y1": coordinate(base), "y2": coordinate(base)])
    let marked = Ticks.steps(from: Int(steps.lowerBound), to: Int(steps.upperBound), most: 8)
    for (place, step) in marked.enumerated() {
      let at = share(ofStep: Double(step))
      let x = percent(at)
      plot.element(
        "line", ["class": "axis", "x1": x, "x2": x, "y1": coordinate(base), "y2": coordinate(base + 5)])
      // On a narrow page there is room for every other number only.
      let kind = place.isMultiple(of: 2) ? "tick" : "tick tick-between"
      plot.element("text", ["class": kind, "x": x, "y": coordinate(base + 19), "text-anchor": Self.anchor(at)]) {
        $0.write(grouped(step))
      }
    }
  }

  private func drawBoundaries(_ plot: inout Markup, _ rows: [Int?], top: Double) {
    for (boundary, row) in zip(boundaries, rows) {
      let at = share(ofStep: boundary.step)
      let x = percent(at)
      let labelTop = row.map { Double($0) * Self.labelHeight } ?? top
      let cost = boundary.cost
      plot.element("g", ["class": "boundary"]) { mark in
        mark.element("title") {
          $0.write(
            "attempt \(boundary.attempt) went on here; before it: \(boundary.cause)\(cost.isEmpty ? "" : "; " + cost)"
          )
        }
        mark.element("line", ["x1": x, "x2": x, "y1": coordinate(labelTop), "y2": coordinate(top + height)])
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

  private func drawCurve(_ plot: inout Markup, top: Double) {
    plot.element(
      "svg",
      [
        "x": "0", "y": coordinate(top), "width": "100%", "height": coordinate(height),
        "viewBox": "0 0 10000 \(coordinate(height))", "preserveAspectRatio": "none",
      ]
    ) { inner in
      for stretch in stretches where stretch.count > 1 {
        var path = ""
        for point in stretch {
          path += path.isEmpty ? "M" : "L"
          path += "\(coordinate(share(ofStep: Double(point.step)) * 10_000)) \(coordinate(depth(of: point.value)))"
        }
        inner.element("path", ["class": "curve", "d": path, "vector-effect": "non-scaling-stroke"])
      }
    }
    for stretch in stretches where stretch.count == 1 {
      for point in stretch {
        plot.element(
          "circle",
          [
            "class": "curve-point", "cx": percent(share(ofStep: Double(point.step))),
            "cy": coordinate(top + depth(of: point.value)), "r": "3",
          ])
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

  /// Where a text begins, so that it stays inside at the ends.
  static func anchor(_ share: Double) -> String { share < 0.04 ? "start" : share > 0.96 ? "end" : "middle" }
}
