import Domain
import Foundation
import Testing
import Wire

@testable import Commands

@Suite struct RunTextTests {
  private func series(_ attempts: [Int], times: [Double]? = nil) -> MetricSeries {
    MetricSeries(
      metric: "loss", steps: Array(1...attempts.count), values: attempts.indices.map { 2 / Double($0 + 1) },
      attempts: attempts, recordedAt: times?.map { Samples.now + .seconds($0) })
  }

  private func run() -> RunView {
    let attempts = [
      Samples.attempt(1, lease: "first", nodes: ["n1", "n2"]),
      Samples.attempt(2, lease: "second", nodes: ["n3", "n4"], resumedFrom: 3),
    ]
    return RunView(
      id: RunID(17), job: Samples.job(.completed, checkpoint: 6, attempt: attempts[1], lastStep: 6),
      attempts: attempts, checkpoints: [],
      metrics: [MetricSummary(metric: "loss", count: 6, firstStep: 1, lastStep: 6, lastValue: 0.25)],
      provenance: RunProvenance(jobFile: "", source: SourceProvenance(), datasets: [], seed: 7, nodes: []),
      stepsRedone: 0)
  }

  @Test func marksTheStepWhereAnotherAttemptGoesOn() {
    let plot = RunText.plot(series([1, 1, 1, 2, 2, 2]), of: run())
    #expect(
      plot.boundaries == [
        Plot.Boundary(
          x: 4, label: "attempt 1 in lease first on n1,n2 -> attempt 2 in lease second on n3,n4")
      ])
    #expect(plot.points.count == 6)
  }

  @Test func tellsTheHistoryOfARun() throws {
    let text = RunText.history(run(), TimeText(now: Samples.now, zone: try #require(TimeZone(identifier: "UTC"))))
    for words in ["COMPLETED", "first", "n3,n4", "step 3", "the beginning", "seed", "loss"] {
      #expect(text.contains(words), "\(words)")
    }
  }

  @Test(arguments: [(10, 10, 0, 0, true), (10, 9, 0, 0, false), (10, 10, 1, 0, false), (0, 0, 0, 0, false)])
  func callsRunsEqualOnlyIfAllBitsAre(_ compared: Int, _ equal: Int, _ only: Int, _ onlyOther: Int, _ isEqual: Bool) {
    let comparison = RunComparison(
      run: RunID(1), other: RunID(2), metric: "loss", stepsCompared: compared, stepsEqual: equal, onlyInRun: only,
      onlyInOther: onlyOther, firstDifference: nil, largestDifference: 0)
    #expect(RunText.isEqual(comparison) == isEqual)
    #expect(RunText.comparison(comparison).contains("the two are one curve") == isEqual)
  }

  @Test func handoffLeavesOutTheTimeWithoutALease() throws {
    let series = series([1, 1, 2, 2], times: [0, 10, 40, 50])
    let gap = Period(start: Samples.now + .seconds(15), end: Samples.now + .seconds(25))
    #expect(Handoff.length(series, gap: gap) == .seconds(20))
    #expect(Handoff.length(series, gap: nil) == .seconds(30))
    let later = Period(start: Samples.now + .seconds(35), end: Samples.now + .seconds(60))
    #expect(Handoff.length(series, gap: later) == .seconds(25))
    let elsewhere = Period(start: Samples.now + .seconds(60), end: Samples.now + .seconds(70))
    #expect(Handoff.length(series, gap: elsewhere) == .seconds(30))
  }

  @Test func handoffIsUnknownWithoutTimesOrASecondAttempt() {
    #expect(Handoff.length(series([1, 1, 2]), gap: nil) == nil)
    #expect(Handoff.length(series([1, 1], times: [0, 1]), gap: nil) == nil)
  }
}

@Suite struct SweepTextTests {
  @Test func namesNoMoreThanAPersonReads() {
    let report = SweepReport(
      startedAt: Samples.now, jobsRunning: 1, pruned: (1...12).map { CheckpointID($0) }, bytesFreed: .mebibytes(12),
      problems: ["odd"])
    let text = Sweep.text(report, width: 60)
    #expect(Sweep.text(report).contains("checkpoint-10 and 2 more (12.0 MiB)\n"))
    #expect(text.split(separator: "\n").allSatisfy { $0.count <= 60 })
    #expect(text.hasSuffix("problem: odd"))
  }
}

extension SweepTextTests {
  @Test(arguments: [
    (SweepReport(startedAt: Samples.now, jobsRunning: 1, asked: [JobID(17)]), true),
    (SweepReport(startedAt: Samples.now, jobsRunning: 1, overdue: [JobID(17)]), false),
    (SweepReport(startedAt: Samples.now, jobsRunning: 1, corrupt: [CheckpointID(3)]), false),
    (SweepReport(startedAt: Samples.now, jobsRunning: 1, problems: ["odd"]), false),
  ]) func saysWhetherAPersonHasToLook(_ report: SweepReport, _ isHealthy: Bool) throws {
    #expect(Sweep.text(report).hasPrefix("healthy") && Sweep.text(report).contains(isHealthy ? "yes" : "no"))
    #expect(try JSONText.line(report).contains("\"isHealthy\":\(isHealthy)"))
  }
}

@Suite struct DemoResultTests {
  private let good = DemoResult(
    stepsCompared: 100, stepsEqual: 100, stepsLost: 0, stepsRedone: 0, accuracyInterrupted: 0.97,
    accuracyUninterrupted: 0.97, handoffSeconds: nil, secondsTotal: 200)

  @Test func hasExactlyTheKeysThatReadersKnow() throws {
    let object = try JSONSerialization.jsonObject(with: Data(try JSONText.pretty(good).utf8))
    #expect(
      try #require(object as? [String: Any]).keys.sorted() == [
        "accuracy_interrupted", "accuracy_uninterrupted", "handoff_seconds", "seconds_total", "steps_compared",
        "steps_equal", "steps_lost", "steps_redone",
      ])
  }

  @Test func complainsOfWhatIsNotAsPromised() {
    #expect(good.complaints.isEmpty)
    var bad = good
    bad.stepsEqual = 99
    #expect(bad.complaints == ["1 step differs from the uninterrupted run"])
    bad = good
    bad.stepsLost = 2
    #expect(bad.complaints == ["2 steps are missing from the interrupted run"])
    bad = good
    bad.accuracyInterrupted = 0.5
    bad.accuracyUninterrupted = nil
    #expect(bad.complaints.count == 2)
    bad = good
    bad.stepsCompared = 0
    bad.stepsEqual = 0
    #expect(bad.complaints == ["the two runs have no step in common"])
  }

  @Test func tellsTheBoundaryAsItHappens() throws {
    let times = TimeText(now: Samples.now, zone: try #require(TimeZone(identifier: "UTC")))
    let first = Samples.attempt(1, lease: "first", nodes: ["n1", "n2"])
    let second = Samples.attempt(2, lease: "second", nodes: ["n3", "n4"], resumedFrom: 340)
    let running = Samples.job(.running, checkpoint: 300, attempt: first, lastStep: 340)
    let waiting = Samples.job(.leaseWait, checkpoint: 340, attempt: first, lastStep: 340)
    let staging = Samples.job(.staging, checkpoint: 340, attempt: second, lastStep: 340)
    #expect(
      DemoFollower.sentences(from: running, to: waiting, times) == [
        ">>> lease first ends: n1 and n2 are taken away with their disks; step 340 is safe in the store; "
          + "the job waits for the next lease"
      ])
    #expect(
      DemoFollower.sentences(from: waiting, to: staging, times).first
        == ">>> attempt 2 goes on from step 340, in lease second on n3 and n4")
    #expect(
      DemoFollower.line(running, loss: 0.12345, times)
        == "  RUNNING  step 340  loss 0.1235  lease first 41s left  checkpoint step 300 12s ago")
  }
}
