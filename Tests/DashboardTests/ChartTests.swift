import Domain
import Testing
import Wire

@testable import Dashboard

struct DownsamplingTests {
  @Test(arguments: [5, 1500, 1501, 9_999, 100_000])
  func keepsEndsAndExtremes(_ count: Int) {
    var points = (0..<count).map { CurvePoint(step: $0 * 3, value: Double(($0 * 7919) % 1009)) }
    points[count / 3].value = 1e9
    points[count / 2].value = -1e9
    let kept = downsampled(points, most: 1500)
    #expect(kept.count <= 1500)
    #expect(kept.first == points.first)
    #expect(kept.last == points.last)
    #expect(kept.contains(points[count / 3]))
    #expect(kept.contains(points[count / 2]))
    #expect(zip(kept, kept.dropFirst()).allSatisfy { $0.step < $1.step })
  }

  @Test func keepsTheExtremesOfEveryStretch() {
    let points = (0..<10_000).map { CurvePoint(step: $0, value: $0 % 100 == 50 ? 10 : $0 % 100 == 70 ? -10 : 0) }
    let kept = downsampled(points, most: 1500)
    #expect(kept.count { $0.value == 10 } == 100)
    #expect(kept.count { $0.value == -10 } == 100)
  }

  @Test func leavesFewPointsAlone() {
    let points = [CurvePoint(step: 1, value: 2)]
    #expect(downsampled(points, most: 1500) == points)
    #expect(downsampled([], most: 1500).isEmpty)
  }
}

struct CurveChartTests {
  @Test func marksWhereAttemptsChange() throws {
    let chart = try #require(CurveChart(Fixture.series("loss"), attempts: Fixture.attempts, redone: [2: 12]))
    #expect(
      chart.boundaries == [
        .init(step: 400.5, attempt: 2, cause: "LEASE_ENDED", redone: 12),
        .init(step: 800.5, attempt: 3, cause: "LEASE_ENDED", redone: 0),
      ])
    #expect(chart.html.contains("LEASE_ENDED \u{2192} attempt 2"))
    #expect(chart.html.contains("12 steps redone"))
  }

  @Test func showsTheBoundariesThatTheServerTells() throws {
    var series = Fixture.series("loss")
    series.boundaries = [
      CurveBoundary(
        before: 500, after: 501, from: 1, to: 3, cause: .lost, stepsRedone: 1, stoodStill: .seconds(90))
    ]
    let chart = try #require(CurveChart(series, attempts: Fixture.attempts))
    #expect(chart.boundaries.map(\.step) == [500.5])
    #expect(chart.html.contains("LOST \u{2192} attempt 3") && chart.html.contains("1 step redone, 1m 30s still"))
  }

  @Test func namesTheLastAttemptThatEndedWhereSomeComputedNothing() throws {
    var attempts = Fixture.attempts
    attempts[1].outcome = .launchFailed
    let series = MetricSeries(metric: "loss", steps: [1, 2], values: [1, 2], attempts: [1, 3])
    let chart = try #require(CurveChart(series, attempts: attempts))
    #expect(chart.boundaries == [.init(step: 1.5, attempt: 3, cause: "LAUNCH_FAILED", redone: nil)])
  }

  @Test func placesBoundariesBetweenTheStepsOfTheCurve() throws {
    let chart = try #require(CurveChart(Fixture.series("loss"), attempts: Fixture.attempts))
    let at = chart.share(ofStep: 400.5)
    #expect(chart.share(ofStep: 400) < at && at < chart.share(ofStep: 401))
    #expect(chart.share(ofStep: 1) >= 0 && chart.share(ofStep: 1187) <= 1)
    #expect(chart.html.contains("x1=\"\(percent(at))\""))
  }

  @Test func partsTheCurveAtWhatIsNoNumber() throws {
    let series = MetricSeries(
      metric: "loss", steps: [1, 2, 3, 4, 5], values: [1, 2, .nan, 4, .infinity], attempts: [1, 1, 1, 1, 1])
    let chart = try #require(CurveChart(series, attempts: []))
    #expect(chart.notNumbers == 2)
    #expect(chart.stretches.map { $0.map(\.step) } == [[1, 2], [4]])
    #expect(!chart.html.contains("nan") && !chart.html.contains("inf"))
  }

  @Test(arguments: [[], [Double.nan]])
  func hasNothingToDrawWithoutNumbers(_ values: [Double]) {
    let steps = Array(values.indices)
    let series = MetricSeries(metric: "loss", steps: steps, values: values, attempts: steps.map { _ in 1 })
    #expect(CurveChart(series, attempts: []) == nil)
  }

  @Test(arguments: [0, 1e-300, -1e300, 1.7e308, 5])
  func drawsASinglePointOfAnySize(_ value: Double) throws {
    let series = MetricSeries(metric: "loss", steps: [0], values: [value], attempts: [1])
    let chart = try #require(CurveChart(series, attempts: []))
    #expect(chart.html.contains("class=\"curve-point\""))
    #expect(!chart.html.contains("nan") && !chart.html.contains("inf"))
  }

  @Test func drawsEachStateOfACheckpointInItsOwnShape() {
    let shapes = [CheckpointState.durable, .corrupt, .pruned, .local].map(CurveChart.shape)
    #expect(Set(shapes).count == shapes.count)
  }

  @Test func putsNoTwoLabelsOnEachOther() throws {
    let steps = Array(1...100)
    let series = MetricSeries(metric: "loss", steps: steps, values: steps.map(Double.init), attempts: steps)
    let chart = try #require(CurveChart(series, attempts: []))
    let placed = zip(chart.boundaries, chart.labelRows).compactMap { boundary, row in
      row.map { (row: $0, at: chart.share(ofStep: boundary.step)) }
    }
    for (place, label) in placed.enumerated() {
      for other in placed[(place + 1)...] where other.row == label.row { #expect(other.at - label.at >= 0.17) }
    }
  }
}

struct CompareChartTests {
  private func entry(_ place: Int, _ values: [Double], attempts: [Int]? = nil) -> CompareChart.Entry {
    let steps = Array(values.indices)
    let series = MetricSeries(
      metric: "loss", steps: steps, values: values, attempts: attempts ?? steps.map { _ in 1 })
    return CompareChart.Entry(name: "run-\(place)", place: place, series: series)
  }

  @Test func leavesOutRunsWithoutNumbersAndKeepsTheLookOfOthers() throws {
    let chart = try #require(
      CompareChart([entry(0, []), entry(1, [.nan]), entry(2, [1, .nan, 3]), entry(3, [2])], metric: "loss"))
    #expect(chart.curves.map(\.name) == ["run-2", "run-3"])
    #expect(chart.curves[0].stretches.map { $0.map(\.step) } == [[0], [2]])
    #expect(chart.html.contains("class=\"curve-point series-2 dash-2\""))
    #expect(!chart.html.contains("nan"))
    #expect(CompareChart([entry(0, []), entry(1, [.infinity])], metric: "loss") == nil)
  }

  @Test func tells36RunsApart() {
    #expect(Set((0..<36).map(CompareChart.kind)).count == 36)
  }

  @Test func givesALaneToRunsThatWentOn() throws {
    let chart = try #require(
      CompareChart([entry(0, [1, 2, 3]), entry(1, [1, 2, 3], attempts: [1, 1, 2])], metric: "loss"))
    #expect(chart.html.contains(">run-1</text>") && !chart.html.contains(">run-0</text>"))
    #expect(chart.html.matches(of: #/<line x1="[0-9.%]+" x2="[0-9.%]+" y1="8"/#).count == 1)
  }

  @Test(arguments: [0.0075, 0.026], [1, 2, 5, 40])
  func putsNoTwoLabelsOnEachOther(_ letter: Double, _ count: Int) {
    let boundaries = (0..<count).map {
      CurveChart.Boundary(step: Double($0), attempt: $0 + 2, cause: "LEASE_ENDED", redone: 12, stoodStill: nil)
    }
    let shares = (0..<count).map { (Double($0) + 0.7) / Double(count) }
    for isLong in [true, false] {
      let labels = CompareChart.labels(boundaries, at: shares, letter: letter, isLong: isLong)
      let taken = zip(labels, shares).compactMap { label, at in
        label.text.map { text in
          let width = Double(text.count + 2) * letter
          return label.isBefore ? at - width...at : at...at + width
        }
      }
      #expect(!taken.isEmpty && taken.allSatisfy { $0.lowerBound >= 0 && $0.upperBound <= 1.000_001 })
      #expect(zip(taken, taken.dropFirst()).allSatisfy { $0.upperBound <= $1.lowerBound + 1e-9 })
    }
  }
}

struct LeaseChartTests {
  private let now = Fixture.now

  private func chart(_ leases: [LeaseView], attempts: [AttemptBar] = [], back: Int = 1, ahead: Int = 1) -> LeaseChart {
    LeaseChart(
      leases: leases, nodes: [Fixture.node(1)], attempts: attempts,
      window: LeaseChart.window(from: now - .hours(back), to: now + .hours(ahead)), now: now)
  }

  @Test func cutsBarsAtTheWindow() {
    let lease = Fixture.lease(1, "long", .active, from: now - .days(3), to: now + .minutes(30), nodes: [1])
    let bars = chart([lease]).rows[0].leases
    #expect(bars.map(\.from) == [0])
    #expect(bars.map(\.to) == [0.75])
  }

  @Test func leavesOutWhatIsOutside() {
    let before = Fixture.lease(1, "before", .terminated, from: now - .hours(3), to: now - .hours(1), nodes: [1])
    let after = Fixture.lease(2, "after", .pending, from: now + .hours(1), to: now + .hours(2), nodes: [1])
    let elsewhere = Fixture.lease(3, "elsewhere", .active, from: now, to: now + .hours(2), nodes: [2])
    let empty = Fixture.lease(4, "empty", .terminated, from: now, to: now, nodes: [1])
    #expect(chart([before, after, elsewhere, empty]).rows[0].leases.isEmpty)
  }

  @Test func putsOverlappingBarsIntoLanesOfTheirOwn() {
    let first = Fixture.lease(1, "first", .terminated, from: now - .minutes(50), to: now, nodes: [1])
    let second = Fixture.lease(2, "second", .active, from: now - .minutes(10), to: now + .minutes(20), nodes: [1])
    let third = Fixture.lease(3, "third", .pending, from: now, to: now + .minutes(50), nodes: [1])
    let row = chart([third, second, first]).rows[0]
    #expect(row.leases.map(\.name) == ["first", "second", "third"])
    #expect(row.leases.map(\.lane) == [0, 1, 0])
    #expect(row.lanes == 2)
  }

  @Test func drawsAttemptsInsideTheirLeaseUpToNow() throws {
    let lease = Fixture.lease(3, "week-3", .active, from: now - .minutes(40), to: now + .minutes(83), nodes: [1])
    let row = chart([lease], attempts: Fixture.bars).rows[0]
    #expect(row.attempts.count == 1)
    let bar = try #require(row.attempts.first)
    #expect(bar.to == 0.5)
    #expect(bar.from > row.leases[0].from)
    #expect(bar.link == "/runs/17")
  }

  @Test func drawsNowOnlyInsideTheWindow() {
    #expect(chart([]).html.contains("class=\"now\""))
    let past = LeaseChart(
      leases: [], nodes: [], attempts: [], window: LeaseChart.window(from: now - .hours(2), to: now - .hours(1)),
      now: now)
    #expect(!past.html.contains("class=\"now\""))
  }

  @Test func choosesAWindowAroundWhatMatters() {
    let window = LeaseChart.window(around: now, Fixture.leases)
    #expect(window.contains(now))
    #expect(window.end >= now + .hours(7))
    #expect(window.length <= .hours(24))
    #expect(LeaseChart.window(around: now, []).length >= .minutes(10))
  }

  @Test func labelsTheAxisWithItsOffset() {
    #expect(chart([]).html.contains("Z</text>"))
  }
}

struct TickTests {
  @Test func choosesRoundValues() {
    #expect(Ticks.values(from: 0.13, to: 2.41, most: 6) == [0.5, 1, 1.5, 2])
    #expect(Ticks.steps(from: 0, to: 1187, most: 8) == [0, 200, 400, 600, 800, 1000])
    #expect(Ticks.steps(from: 1, to: 3, most: 8) == [1, 2, 3])
  }

  @Test(arguments: [(0, 1e-12), (-1e308, 1e308), (5, 5), (.nan, 1)] as [(Double, Double)])
  func endsForAnyRange(_ low: Double, _ high: Double) {
    #expect(Ticks.values(from: low, to: high, most: 6).count <= 7)
  }

  @Test func choosesRoundMoments() {
    let start = Fixture.now
    let moments = Ticks.moments(from: start, to: start + .hours(7), most: 8)
    #expect((2...8).contains(moments.count))
    #expect(moments.allSatisfy { $0.microseconds % 3_600_000_000 == 0 && $0 >= start })
  }

  @Test func writesNumbersForPeople() {
    #expect(grouped(1_234_567) == "1\u{202F}234\u{202F}567")
    #expect(shown(0.162_731_8) == "0.16273")
    #expect(shown(1234.5678) == "1234.57")
    #expect(shown(0.000_03) == "3e-5")
    #expect(shown(-2) == "-2")
    #expect(shown(.nan) == "nan")
  }
}

struct HandoffChartTests {
  @Test func drawsAllButTheGap() throws {
    let chart = try #require(HandoffChart([Fixture.handoff]))
    let rows = chart.rows.map(\.stretches)
    #expect(rows[0].map(\.step) == [.save, .upload, .wait, .staging, .restore, .launch, .firstStep])
    #expect(abs((rows[0].last?.to ?? 0) - 1) < 1e-9)
    #expect(zip(rows[0], rows[0].dropFirst()).allSatisfy { $0.to == $1.from })
    #expect(chart.rows[0].text.contains("beside a gap of 1h"))
    #expect(chart.html.contains("class=\"step-restore\""))
    #expect(!chart.html.contains("step-gap"))
  }

  @Test func isNoneWithoutAHandoff() {
    #expect(HandoffChart([]) == nil)
  }
}
