import Domain
import Wire

/// The curves of several runs over each other, each in a colour and with a dash of its own.
///
/// A run that went on in later attempts has a lane above the curves, so that boundaries of different runs never stand on
/// each other.
struct CompareChart {
  /// A run's part in it.
  struct Entry {
    /// What its lane is called: `run-17`.
    var name: String
    /// Its place among the runs, which gives it its look: the same in every chart of a page.
    var place: Int
    var series: MetricSeries
    /// Tell why attempts ended, where the series does not.
    var attempts: [AttemptView] = []
  }

  /// An entry as it is drawn.
  struct Curve {
    let name: String
    let kind: String
    let stretches: [[CurvePoint]]
    let boundaries: [CurveChart.Boundary]
  }

  /// What is written beside a boundary; nil where there is no room.
  struct Label: Hashable {
    var text: String?
    /// Whether it stands left of its boundary.
    var isBefore: Bool
  }

  /// So many colours, and so many dashes.
  static let kinds = 6

  /// Those that have a value that is a number.
  let curves: [Curve]
  private let scale: PlotScale
  private let metric: String
  private static let height = 260.0
  private static let laneHeight = 17.0
  /// The share of the width that a letter takes, where the page is wide and where it is narrow.
  private static let wideLetter = 0.0075
  private static let narrowLetter = 0.026

  /// A chart of `entries`; nil where no value is a number.
  init?(_ entries: [Entry], metric: String) {
    self.metric = metric
    let read = entries.map {
      Stretches(steps: $0.series.steps, values: $0.series.values, most: CurveChart.pointsMost)
    }
    guard let scale = PlotScale(read.flatMap(\.finite), height: Self.height) else { return nil }
    self.scale = scale
    curves = zip(entries, read).filter { !$1.finite.isEmpty }.map { entry, curve in
      Curve(
        name: entry.name, kind: Self.kind(entry.place), stretches: curve.drawn,
        boundaries: CurveChart.boundaries(entry.series, entry.attempts, nil))
    }
  }

  /// The classes of the n-th run, also in the legend: colour and dash, by which 36 are told apart.
  static func kind(_ place: Int) -> String { "series-\(place % kinds) dash-\((place + place / kinds) % kinds)" }

  /// What is written at each of `boundaries`, which stand at `shares` of the width, so that nothing overlaps: as much as
  /// there is room for, where a letter is `letter` wide.
  static func labels(
    _ boundaries: [CurveChart.Boundary], at shares: [Double], letter: Double, isLong: Bool
  ) -> [Label] {
    var end = 0.0
    return boundaries.indices.map { place in
      let boundary = boundaries[place]
      let at = shares[place]
      let isBefore = at > 0.8
      let next = place + 1 < shares.count ? shares[place + 1] : 1
      let short = "\u{2192} \(boundary.attempt)"
      let cause = boundary.cause.isEmpty ? short : "\(short) \(boundary.cause)"
      let full = boundary.cost.isEmpty ? cause : "\(cause), \(boundary.cost)"
      let text = (isLong ? [full, cause, short] : [short]).first { words in
        let width = Double(words.count + 2) * letter
        return isBefore ? at - width >= end : at >= end && at + width <= next
      }
      if let text { end = isBefore ? at : at + Double(text.count + 2) * letter }
      return Label(text: text, isBefore: isBefore)
    }
  }

  // MARK: - Drawing

  /// The chart as HTML.
  var html: String {
    let lanes = curves.filter { !$0.boundaries.isEmpty }
    let top = Double(lanes.count) * Self.laneHeight + 8
    return scale.chart(
      full: top + Self.height + 24, top: top, label: "\(metric) by step, \(counted(curves.count, "run"))",
      margin: { margin in
        for (place, lane) in lanes.enumerated() { PlotScale.inMargin(lane.name, at: Self.line(of: place), &margin) }
      },
      { plot in
        scale.drawGrid(&plot, top: top)
        for (place, lane) in lanes.enumerated() {
          drawLines(of: lane, from: Self.line(of: place), to: top + Self.height, &plot)
        }
        for (place, lane) in lanes.enumerated() { drawLane(lane, at: Self.line(of: place), &plot) }
        for curve in curves { scale.drawCurve(&plot, curve.stretches, kind: curve.kind, top: top) }
      })
  }

  /// Where the words of a lane stand.
  private static func line(of lane: Int) -> Double { Double(lane) * laneHeight + 12 }

  /// A line through the curves for each boundary of a run.
  private func drawLines(of curve: Curve, from line: Double, to bottom: Double, _ plot: inout Markup) {
    for boundary in curve.boundaries {
      let x = percent(scale.share(ofStep: boundary.step))
      plot.element("g", ["class": "takeover \(curve.kind)"]) { mark in
        mark.element("title") { $0.write("\(curve.name): \(boundary.sentence)") }
        mark.element("line", ["x1": x, "x2": x, "y1": coordinate(line - 4), "y2": coordinate(bottom)])
      }
    }
  }

  /// What happened at the boundaries of a run.
  private func drawLane(_ curve: Curve, at line: Double, _ plot: inout Markup) {
    let shares = curve.boundaries.map { scale.share(ofStep: $0.step) }
    let long = Self.labels(curve.boundaries, at: shares, letter: Self.wideLetter, isLong: true)
    let short = Self.labels(curve.boundaries, at: shares, letter: Self.narrowLetter, isLong: false)
    for (place, boundary) in curve.boundaries.enumerated() {
      let x = percent(shares[place])
      plot.element("g", ["class": "takeover \(curve.kind)"]) { mark in
        mark.element("title") { $0.write("\(curve.name): \(boundary.sentence)") }
        mark.element("circle", ["cx": x, "cy": coordinate(line - 4), "r": "3.5"])
        for (kind, label) in [("long", long[place]), ("short", short[place])] {
          guard let text = label.text else { continue }
          let side = ["dx": label.isBefore ? "-8" : "8", "text-anchor": label.isBefore ? "end" : "start"]
          mark.element("text", side.merging(["class": kind, "x": x, "y": coordinate(line)]) { $1 }) { $0.write(text) }
        }
      }
    }
  }
}
