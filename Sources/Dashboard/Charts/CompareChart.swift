import Domain
import Wire

/// The curves of several runs over each other, each in a colour and with a dash of its own.
struct CompareChart {
  /// More than these repeat their colours.
  static let kinds = 6

  private let curves: [[CurvePoint]]
  private let steps: ClosedRange<Double>
  private let values: ClosedRange<Double>
  private let metric: String
  private static let height = 260.0

  /// A chart of `series`; nil where no value is a number.
  init?(_ series: [MetricSeries], metric: String) {
    self.metric = metric
    let finite = series.map { one in
      zip(one.steps, one.values).filter { $0.1.isFinite }.map { CurvePoint(step: $0, value: $1) }
    }
    let all = finite.flatMap(\.self)
    guard let first = all.first else { return nil }
    curves = finite.map { downsampled($0, most: CurveChart.pointsMost) }
    let low = Double(all.map(\.step).min() ?? first.step)
    let high = Double(all.map(\.step).max() ?? first.step)
    steps = low < high ? low...high : (low - 1)...(high + 1)
    let lowest = all.map(\.value).min() ?? 0
    let highest = all.map(\.value).max() ?? 0
    let room = lowest < highest ? (highest - lowest) * 0.04 : max(lowest.magnitude * 0.1, 1e-9)
    let ends = (lowest - room, highest + room)
    values = ends.0.isFinite && ends.1.isFinite ? ends.0...ends.1 : lowest...highest
  }

  private func share(_ step: Double) -> Double {
    0.012 + 0.976 * (step - steps.lowerBound) / (steps.upperBound - steps.lowerBound)
  }

  private func depth(_ value: Double) -> Double {
    guard values.lowerBound < values.upperBound else { return Self.height / 2 }
    return Self.height * (values.upperBound - value) / (values.upperBound - values.lowerBound)
  }

  /// The class of the n-th curve: what gives it its colour, also in the legend.
  static func kind(_ place: Int) -> String { "series-\(place % kinds)" }

  /// The chart as HTML.
  var html: String {
    let full = Self.height + 32
    let ticks = Ticks.values(from: values.lowerBound, to: values.upperBound, most: 6)
    var page = Markup()
    page.element("div", ["class": "chart"]) { chart in
      chart.element("svg", ["class": "chart-scale", "width": "64", "height": coordinate(full), "aria-hidden": "true"]) {
        scale in
        for tick in ticks {
          scale.element("text", ["x": "58", "y": coordinate(8 + depth(tick) + 4), "text-anchor": "end"]) {
            $0.write(shown(tick))
          }
        }
      }
      chart.element("div", ["class": "chart-scroll", "tabindex": "0"]) { scroll in
        scroll.element(
          "svg",
          [
            "class": "chart-plot", "width": "100%", "height": coordinate(full), "role": "img",
            "aria-label": "\(metric) by step, \(curves.count) runs",
          ]
        ) { plot in
          drawGrid(&plot, ticks)
          drawCurves(&plot)
        }
      }
    }
    return page.text
  }

  private func drawGrid(_ plot: inout Markup, _ ticks: [Double]) {
    for tick in ticks {
      let y = coordinate(8 + depth(tick))
      plot.element("line", ["class": "grid", "x1": "0", "x2": "100%", "y1": y, "y2": y])
    }
    let base = 8 + Self.height
    plot.element("line", ["class": "axis", "x1": "0", "x2": "100%", "y1": coordinate(base), "y2": coordinate(base)])
    for step in Ticks.steps(from: Int(steps.lowerBound), to: Int(steps.upperBound), most: 8) {
      let at = share(Double(step))
      plot.element(
        "text", ["class": "tick", "x": percent(at), "y": coordinate(base + 19), "text-anchor": CurveChart.anchor(at)]
      ) { $0.write(grouped(step)) }
    }
  }

  private func drawCurves(_ plot: inout Markup) {
    plot.element(
      "svg",
      [
        "x": "0", "y": "8", "width": "100%", "height": coordinate(Self.height),
        "viewBox": "0 0 10000 \(coordinate(Self.height))", "preserveAspectRatio": "none",
      ]
    ) { inner in
      for (place, curve) in curves.enumerated() where !curve.isEmpty {
        var path = ""
        for point in curve {
          path += path.isEmpty ? "M" : "L"
          path += "\(coordinate(share(Double(point.step)) * 10_000)) \(coordinate(depth(point.value)))"
        }
        inner.element(
          "path", ["class": "curve \(Self.kind(place))", "d": path, "vector-effect": "non-scaling-stroke"])
      }
    }
  }
}
