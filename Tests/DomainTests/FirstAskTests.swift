import Domain
import Testing

@Suite struct FirstAskTests {
  private func isDue(
    metric: Bool = false, line: Double? = nil, launch: Double, every: Double = 600
  ) -> Bool {
    FirstAsk.isDue(
      toldMetric: metric, sinceFirstLine: line.map { .seconds($0) }, sinceLaunch: .seconds(launch),
      every: .seconds(every))
  }

  @Test func aProgramThatTellsAMetricHasBegunToWork() {
    #expect(isDue(metric: true, launch: 1))
    #expect(isDue(metric: true, line: 0, launch: 1))
  }

  @Test func oneThatTellsNoneHasSomeTimeAfterItsFirstLine() {
    #expect(!isDue(line: 29, launch: 300))
    #expect(isDue(line: 30, launch: 30))
  }

  @Test func oneThatSaysNothingHasMore() {
    #expect(!isDue(launch: 119))
    #expect(isDue(launch: 120))
  }

  /// A program that saves every ten seconds does not lose half a minute.
  @Test func shortIntervalsAreNotWaitedForManyTimes() {
    #expect(!isDue(line: 4, launch: 10, every: 10))
    #expect(isDue(line: 5, launch: 10, every: 10))
    #expect(!isDue(launch: 19, every: 10))
    #expect(isDue(launch: 20, every: 10))
  }
}
