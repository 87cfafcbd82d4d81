/// Where steps and values lie in a plot, and how it draws what all plots have.
///
/// Horizontal places are shares of the width, so that a plot is as wide as its page and its texts stay as they are.
struct PlotScale {
  private let steps: ClosedRange<Double>
  private let values: ClosedRange<Double>
  /// How high the curves are, in pixels.
  let height: Double
  /// Where the values are marked.
  let ticks: [Double]

  /// A scale with room for `points`, all finite, and the steps of `marks`; nil where there is no point.
  init?(_ points: [CurvePoint], marks: [Int] = [], height: Double) {
    guard let first = points.first else { return nil }
    self.height = height
    var (low, high) = (first.step, first.step)
    var (lowest, highest) = (first.value, first.value)
    for point in points {
      low = min(low, point.step)
      high = max(high, point.step)
      lowest = min(lowest, point.value)
      highest = max(highest, point.value)
    }
    let ends = marks.reduce((Double(low), Double(high))) { (min($0.0, Double($1)), max($0.1, Double($1))) }
    steps = ends.0 < ends.1 ? ends.0...ends.1 : (ends.0 - 1)...(ends.1 + 1)
    let room = lowest < highest ? (highest - lowest) * 0.04 : max(lowest.magnitude * 0.1, 1e-9)
    let (bottom, top) = (lowest - room, highest + room)
    values = bottom.isFinite && top.isFinite ? bottom...top : lowest...highest
    ticks = Ticks.values(from: values.lowerBound, to: values.upperBound, most: 6)
  }

  /// How far along the width a step is, from 0 to 1.
  func share(ofStep step: Double) -> Double {
    0.012 + 0.976 * (step - steps.lowerBound) / (steps.upperBound - steps.lowerBound)
  }

  /// How far down a value is, in pixels below the top of the curves.
  func depth(of value: Double) -> Double {
    guard values.lowerBound < values.upperBound else { return height / 2 }
    return height * (values.upperBound - value) / (values.upperBound - values.lowerBound)
  }

  // MARK: - Drawing

  /// The plot, `full` pixels high, and its values beside it, which stay where they are when it is scrolled.
  ///
  /// `margin` writes more into the margin.
  func chart(
    full: Double, top: Double, label: String, margin: (inout Markup) -> Void = { _ in },
    _ content: (inout Markup) -> Void
  ) -> String {
    var page = Markup()
    page.element("div", ["class": "chart"]) { chart in
      chart.element("svg", ["class": "chart-scale", "width": "64", "height": coordinate(full), "aria-hidden": "true"]) {
        scale in
        for tick in ticks { Self.inMargin(shown(tick), at: top + depth(of: tick) + 4, &scale) }
        margin(&scale)
      }
      chart.element("div", ["class": "chart-scroll", "tabindex": "0"]) { scroll in
        scroll.element(
          "svg",
          ["class": "chart-plot", "width": "100%", "height": coordinate(full), "role": "img", "aria-label": label],
          content)
      }
    }
    return page.text
  }

  /// Words in the margin, left of the plot, on the line `y`.
  static func inMargin(_ words: String, at y: Double, _ scale: inout Markup) {
    scale.element("text", ["x": "58", "y": coordinate(y), "text-anchor": "end"]) { $0.write(words) }
  }

  /// Lines at the ticks, and the axis of the steps, which lies `lane` pixels below the curves.
  func drawGrid(_ plot: inout Markup, top: Double, lane: Double = 0) {
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

  /// A curve in stretches; one of a single point is a dot.
  ///
  /// `kind` is a class beside that of all curves.
  func drawCurve(_ plot: inout Markup, _ stretches: [[CurvePoint]], kind: String = "", top: Double) {
    let suffix = kind.isEmpty ? "" : " " + kind
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
        inner.element("path", ["class": "curve" + suffix, "d": path, "vector-effect": "non-scaling-stroke"])
      }
    }
    for stretch in stretches where stretch.count == 1 {
      for point in stretch {
        plot.element(
          "circle",
          [
            "class": "curve-point" + suffix, "cx": percent(share(ofStep: Double(point.step))),
            "cy": coordinate(top + depth(of: point.value)), "r": "3",
          ])
      }
    }
  }

  /// Where a text begins, so that it stays inside at the ends.
  static func anchor(_ share: Double) -> String { share < 0.04 ? "start" : share > 0.96 ? "end" : "middle" }
}

/// The points of a curve that are numbers, in stretches: a value that is no number parts it.
struct Stretches {
  /// All that is to be drawn.
  let drawn: [[CurvePoint]]
  /// All values that are numbers.
  let finite: [CurvePoint]
  /// How many are not.
  let notNumbers: Int

  /// Of `steps` and their `values`, not more than `most` points are drawn.
  init(steps: [Int], values: [Double], most: Int) {
    let points = zip(steps, values).map { CurvePoint(step: $0, value: $1) }
    finite = points.filter(\.value.isFinite)
    notNumbers = points.count - finite.count
    let gaps = points.filter { !$0.value.isFinite }.map(\.step)
    var stretches: [[CurvePoint]] = [[]]
    var gap = gaps.startIndex
    for point in downsampled(finite, most: most) {
      var isParted = false
      while gap < gaps.endIndex, gaps[gap] < point.step {
        gap += 1
        isParted = true
      }
      if isParted, !stretches[stretches.count - 1].isEmpty { stretches.append([]) }
      stretches[stretches.count - 1].append(point)
    }
    drawn = stretches
  }
}
