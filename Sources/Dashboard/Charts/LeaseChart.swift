public import Domain
public import Wire

/// One attempt of a job, to be drawn inside its lease.
public struct AttemptBar: Hashable, Sendable {
  /// Whose.
  public var job: JobID
  /// The job's name.
  public var jobName: String
  /// The attempt.
  public var attempt: AttemptView

  /// An attempt of `job`.
  public init(job: JobID, jobName: String, attempt: AttemptView) {
    self.job = job
    self.jobName = jobName
    self.attempt = attempt
  }
}

/// Leases over time: a row for each node, a bar for each lease, thinner ones for the attempts inside.
struct LeaseChart {
  /// A bar, as shares of the width; what lies outside the window is cut off.
  struct Bar: Hashable {
    var from: Double
    var to: Double
    /// Which of the lanes of its node: those that overlap never share one.
    var lane: Int
    var name: String
    var title: String
    var tone: String
    var link: String?
  }

  /// What is drawn for one node.
  struct Row: Hashable {
    var node: NodeRef
    var lanes: Int
    var leases: [Bar]
    var attempts: [Bar]
  }

  let window: Period
  let now: Timestamp
  let rows: [Row]

  private static let laneHeight = 34.0
  private static let rowGap = 8.0
  private static let top = 22.0

  init(leases: [LeaseView], nodes: [NodeRef], attempts: [AttemptBar], window: Period, now: Timestamp) {
    self.window = window
    self.now = now
    rows = nodes.map { node in
      var ends: [Timestamp] = []
      var lanes: [LeaseID: Int] = [:]
      var bars: [Bar] = []
      let here = leases.filter { $0.nodes.contains { $0.id == node.id } }.sorted {
        ($0.start, $0.id) < ($1.start, $1.id)
      }
      for lease in here {
        guard let bar = Self.bar(lease, window, lanes: &ends) else { continue }
        lanes[lease.id] = bar.lane
        bars.append(bar)
      }
      let inside = attempts.filter { $0.attempt.nodes.contains { $0.id == node.id } }.compactMap {
        Self.bar($0, window, now, lane: lanes[$0.attempt.lease])
      }
      return Row(node: node, lanes: max(ends.count, 1), leases: bars, attempts: inside)
    }
  }

  /// From a while ago to the end of the last lease, so that what matters now fills the width.
  ///
  /// Between 10 minutes and 14 days ahead, and between a quarter of that and 7 days back.
  static func window(around now: Timestamp, _ leases: [LeaseView]) -> Period {
    let open = leases.filter { !$0.state.isFinal }
    let ahead = min(max((open.map(\.end).max() ?? now) - now, .minutes(10)), .days(14))
    let begun = now - (open.map(\.start).min() ?? now)
    let back = min(max(begun, .seconds(ahead.seconds / 4)), .days(7))
    let room = TimeSpan.seconds((ahead + back).seconds * 0.03)
    return window(from: now - back - room, to: now + ahead + room)
  }

  /// `[start, end)`, at least a microsecond long.
  static func window(from start: Timestamp, to end: Timestamp) -> Period {
    Period(start: start, end: end) ?? window(from: start, to: start + TimeSpan(microseconds: 1))
  }

  /// How far along the width a moment is, held between 0 and 1.
  static func share(_ moment: Timestamp, _ window: Period) -> Double {
    min(max((moment - window.start).seconds / window.length.seconds, 0), 1)
  }

  private static func bar(_ lease: LeaseView, _ window: Period, lanes: inout [Timestamp]) -> Bar? {
    guard let period = Period(start: lease.start, end: lease.end), period.overlaps(window) else { return nil }
    let lane = lanes.firstIndex { $0 <= lease.start } ?? lanes.count
    if lane == lanes.count { lanes.append(lease.end) } else { lanes[lane] = lease.end }
    let state = lease.state.rawValue + (lease.degraded ? ", degraded" : "")
    return Bar(
      from: share(lease.start, window), to: share(lease.end, window), lane: lane, name: lease.name,
      title: "\(lease.name) (\(lease.id)): \(state), \(lease.start) to \(lease.end)", tone: Badge(lease.state).tone)
  }

  private static func bar(_ bar: AttemptBar, _ window: Period, _ now: Timestamp, lane: Int?) -> Bar? {
    let attempt = bar.attempt
    let end = attempt.endedAt ?? now
    guard let lane, let period = Period(start: attempt.createdAt, end: end), period.overlaps(window) else { return nil }
    let state = attempt.outcome?.rawValue ?? attempt.state.rawValue
    return Bar(
      from: share(attempt.createdAt, window), to: share(end, window), lane: lane, name: bar.jobName,
      title: "\(bar.job) \(bar.jobName), attempt \(attempt.number): \(state)", tone: Badge(attempt).tone,
      link: "/runs/\(bar.job.rawValue)")
  }

  // MARK: - Drawing

  private func height(_ row: Row) -> Double { Double(row.lanes) * Self.laneHeight + Self.rowGap }

  private static let nameLengthMost = 13

  /// As wide as the longest name is at most, in the widest letters that are usual.
  private var namesWidth: Double {
    let longest = rows.map(\.node.name.count).max() ?? 0
    return Double(min(longest, Self.nameLengthMost)) * 8.5 + 14
  }

  /// The chart as HTML.
  var html: String {
    let full = Self.top + rows.map(height).reduce(0, +) + 24
    var page = Markup()
    page.element("div", ["class": "chart lease-chart"]) { chart in
      chart.element("svg", ["class": "chart-names", "height": coordinate(full), "width": coordinate(namesWidth)]) {
        names in
        var y = Self.top
        for row in rows {
          names.element("text", ["x": "0", "y": coordinate(y + height(row) / 2 + 1)]) { text in
            text.element("title") { $0.write(row.node.name) }
            text.write(
              row.node.name.count > Self.nameLengthMost
                ? row.node.name.prefix(Self.nameLengthMost - 1) + "\u{2026}" : row.node.name)
          }
          y += height(row)
        }
      }
      chart.element("div", ["class": "chart-scroll", "tabindex": "0"]) { scroll in
        scroll.element(
          "svg",
          [
            "class": "chart-plot", "width": "100%", "height": coordinate(full), "role": "img",
            "aria-label": "leases of \(rows.count) nodes over time",
          ]
        ) { plot in
          drawAxis(&plot, base: full - 24)
          var y = Self.top
          for row in rows {
            draw(row, &plot, y)
            y += height(row)
          }
          drawNow(&plot, base: full - 24)
        }
      }
    }
    return page.text
  }

  private func drawAxis(_ plot: inout Markup, base: Double) {
    var lastDay = ""
    for moment in Ticks.moments(from: window.start, to: window.end, most: 8) {
      let at = Self.share(moment, window)
      let x = percent(at)
      plot.element(
        "line", ["class": "grid", "x1": x, "x2": x, "y1": coordinate(Self.top), "y2": coordinate(base + 4)])
      let day = Calendar.day(moment)
      let clock = Calendar.clock(moment, seconds: false) + "Z"
      // The first says the day too, and would be cut off at the edge of a small screen.
      let anchor = lastDay.isEmpty && at < 0.15 ? "start" : PlotScale.anchor(at)
      plot.element("text", ["x": x, "y": coordinate(base + 18), "text-anchor": anchor]) {
        $0.write(day == lastDay ? clock : "\(day) \(clock)")
      }
      lastDay = day
    }
    var y = Self.top
    for row in rows {
      plot.element("line", ["class": "grid", "x1": "0", "x2": "100%", "y1": coordinate(y), "y2": coordinate(y)])
      y += height(row)
    }
    plot.element("line", ["class": "axis", "x1": "0", "x2": "100%", "y1": coordinate(base), "y2": coordinate(base)])
  }

  private func draw(_ row: Row, _ plot: inout Markup, _ y: Double) {
    func top(_ bar: Bar) -> Double { y + Self.rowGap / 2 + Double(bar.lane) * Self.laneHeight + 2 }
    for bar in row.leases {
      // A nested `svg` cuts off a name that is longer than its bar.
      plot.element(
        "svg",
        [
          "x": percent(bar.from), "width": percent(max(bar.to - bar.from, 0.002)), "y": coordinate(top(bar)),
          "height": coordinate(Self.laneHeight - 4),
        ]
      ) { inner in
        inner.element("title") { $0.write(bar.title) }
        inner.element("rect", ["class": "lease tone-\(bar.tone)", "width": "100%", "height": "100%", "rx": "4"])
        inner.element("text", ["x": "7", "y": "15"]) { $0.write(bar.name) }
      }
    }
    for bar in row.attempts {
      plot.element("a", bar.link.map { ["href": $0] } ?? [:]) { link in
        link.element("title") { $0.write(bar.title) }
        link.element(
          "rect",
          [
            "class": "attempt tone-\(bar.tone)", "x": percent(bar.from), "rx": "2",
            "width": percent(max(bar.to - bar.from, 0.002)), "y": coordinate(top(bar) + 20), "height": "7",
          ])
      }
    }
  }

  private func drawNow(_ plot: inout Markup, base: Double) {
    guard window.contains(now) else { return }
    let at = Self.share(now, window)
    let x = percent(at)
    plot.element("g", ["class": "now"]) { mark in
      mark.element("line", ["x1": x, "x2": x, "y1": "16", "y2": coordinate(base)])
      mark.element("text", ["x": x, "y": "12", "text-anchor": PlotScale.anchor(at)]) { $0.write("now") }
    }
  }
}
