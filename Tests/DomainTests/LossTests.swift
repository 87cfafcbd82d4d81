import Domain
import Testing

@Suite struct LossTests {
  private let now = Timestamp(secondsSinceEpoch: 1_795_284_000)

  private func loss(
    last: Int? = 620, durable: Int? = 500, saved: TimeSpan? = .minutes(15), running: TimeSpan = .hours(3), gpus: Int = 2
  ) -> Loss {
    Loss(
      lastStep: last, durableStep: durable, savedAt: saved.map { now - $0 }, runningSince: now - running, gpus: gpus,
      at: now)
  }

  @Test func countsFromTheNewestDurableCheckpoint() {
    #expect(loss() == Loss(steps: 120, time: .minutes(15), gpuTime: .minutes(30)))
    #expect(loss().description == "120 steps, 0.5 GPU-h")
  }

  @Test func countsFromTheBeginningWhereNothingWasSaved() {
    #expect(loss(durable: nil, saved: nil) == Loss(steps: 620, time: .hours(3), gpuTime: .hours(6)))
  }

  @Test func countsNoTimeBeforeTheAttempt() {
    #expect(loss(last: 501, saved: .days(2), running: .minutes(1)).description == "1 step, 2.0 GPU-min")
  }

  @Test func isNothingForACheckpointAheadOfItsMetricsOrOfTheClock() {
    #expect(loss(last: 499, saved: .seconds(-5)) == Loss(steps: 0, time: .zero, gpuTime: .zero))
  }

  @Test func tellsPlainTimeWithoutGPUsAndNoStepsWithoutMetrics() {
    #expect(loss(gpus: 0).description == "120 steps, 15m")
    #expect(loss(last: nil).description == "0.5 GPU-h")
  }

  @Test func addsUp() {
    let sum = Loss.sum([loss(), loss(last: nil, saved: .hours(1), gpus: 8)])
    #expect(sum == Loss(steps: 120, time: .hours(1), gpuTime: .seconds(1800 + 8 * 3600)))
    #expect(Loss.sum([]).steps == nil)
  }
}
