import Domain
import Foundation
import Testing
import Wire

@testable import Commands

@Suite struct RunTextTests {
  private func series(_ attempts: [Int]) -> MetricSeries {
    MetricSeries(
      metric: "loss", steps: Array(1...attempts.count), values: attempts.indices.map { 2 / Double($0 + 1) },
      attempts: attempts)
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

  @Test func saysWhatABoundaryCostAndHowMuchLiesBehindAThinCurve() {
    var series = series([1, 1, 1, 2, 2, 2])
    series.total = 10_000_000
    series.boundaries = [
      CurveBoundary(
        before: 3, after: 4, from: 1, to: 2, cause: .leaseEnded, stepsRedone: 1, stoodStill: .seconds(34))
    ]
    let plot = RunText.plot(series, of: run())
    #expect(plot.title.hasSuffix(", 10000000 values"), "\(plot.title)")
    #expect(
      plot.boundaries.map(\.label) == [
        "attempt 1 in lease first on n1,n2 -> attempt 2 in lease second on n3,n4: "
          + "LEASE_ENDED, 1 step redone, stood still 34s"
      ])
  }

  @Test func tellsTheHistoryOfARun() throws {
    let text = RunText.history(run(), TimeText(now: Samples.now, zone: try #require(TimeZone(identifier: "UTC"))))
    for words in ["COMPLETED", "first", "n3,n4", "step 3", "the beginning", "seed", "loss"] {
      #expect(text.contains(words), "\(words)")
    }
  }

  @Test func tellsOfArtifactsInOneLine() {
    func summary(_ paths: Int, missing: [MissingArtifacts] = [], unknown: String? = nil) -> String? {
      let items = (0..<paths).map {
        ArtifactView(path: "figures/\($0).png", bytes: ByteCount(524_288), attempt: 1, nodeRank: 0)
      }
      return ArtifactText.summary(
        ArtifactListing(now: Samples.now, items: items, missing: missing, unknown: unknown), of: RunID(17))
    }
    #expect(summary(0) == nil)
    #expect(summary(2)?.hasPrefix("2 files, ") == true)
    #expect(summary(1)?.hasSuffix(": see `baton run artifacts 17`") == true)
    let lost = MissingArtifacts(attempt: 2, node: "n1", reason: "3 of 4 files are not kept")
    #expect(summary(0, missing: [lost])?.contains("not kept: attempt 2, node n1: 3 of 4 files") == true)
    #expect(summary(0, unknown: "the store is away\u{1B}[2J")?.contains("perhaps more: the store is away") == true)
    #expect(summary(0, unknown: "\u{1B}[2J")?.contains("\u{1B}") == false)
  }

  @Test func saysWhatKeepsACheckpointFromTheStore() throws {
    let times = TimeText(now: Samples.now, zone: try #require(TimeZone(identifier: "UTC")))
    var run = run()
    let refused = "it could not be stored: PUT was answered 403"
    run.checkpoints = [
      CheckpointView(
        id: CheckpointID(3), job: JobID(17), attemptNumber: 2, step: 8, state: .uploading, bytes: .mebibytes(20),
        prefix: "", createdAt: Samples.now, durableAt: nil, isFinal: false, isLatest: false, rejection: refused)
    ]
    #expect(RunText.history(run, times).contains("rejected: \(refused)"))
    var attempt = Samples.attempt(1, lease: "first", nodes: ["n1"])
    for (isRejected, word, words) in [
      (false, "waits", "step 8 waits for the object store: no"), (true, "rejected", "step 8 was rejected: no"),
    ] {
      attempt.checkpointTrouble = CheckpointTrouble(step: 8, isRejected: isRejected, reason: "no")
      let job = Samples.job(.running, checkpoint: 6, attempt: attempt, lastStep: 9)
      #expect(JobText.queue([job], times).rendered(width: nil).contains("step 6 (12s ago), 8 \(word)"))
      #expect(JobText.facts(job, times).rendered().contains(words))
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

  @Test func handoffsAreShownPartByPart() throws {
    var first = AttemptMoments(
      number: 1, lease: try #require(Period(start: Samples.now, end: Samples.now + .seconds(60))),
      createdAt: Samples.now)
    first.firstStepAt = Samples.now + .seconds(5)
    first.lastStepAt = Samples.now + .seconds(50)
    var second = AttemptMoments(
      number: 2,
      lease: try #require(Period(start: Samples.now + .seconds(80), end: Samples.now + .seconds(200))),
      createdAt: Samples.now + .seconds(81))
    second.firstStepAt = Samples.now + .seconds(84)
    var run = run()
    run.handoffs = Handoff.all(of: [first, second])
    let times = TimeText(now: Samples.now, zone: try #require(TimeZone(identifier: "UTC")))
    let text = RunText.history(run, times)
    let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("1 -> 2") })
    #expect(line.split(separator: " ").suffix(9) == ["34s", "0s", "0s", "20s", "11s", "0s", "0s", "0s", "3s"])
    #expect(text.contains("STOOD STILL"))
    run.job.handoff = run.handoffs?.last
    #expect(
      RunText.history(run, times).contains("14s beside a gap of 20s: wait 11s, first step 3s"))
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

@Suite struct DrillTextTests {
  @Test func tellsEachCheckTheVerdictAndWhatToDo() {
    let checks = [
      DrillCheck(name: "node", subject: "n1", passed: true, detail: "answers", took: .seconds(1)),
      DrillCheck(
        name: "save", subject: "job-17", passed: false, detail: "too late", next: "run it again", took: .seconds(12),
        allowed: .seconds(10)),
    ]
    let text = DrillText.report(
      DrillReport(lease: LeaseID(3), leaseName: "week", stopped: false, took: .seconds(13), checks: checks))
    for words in [
      "n1", "ok", "FAILED", "12s", "10s", "failed: the end of week (lease-3)", "1 check of 2", "run it again",
    ] {
      #expect(text.contains(words), "\(words)")
    }
    let good = DrillText.report(
      DrillReport(lease: LeaseID(3), leaseName: "week", stopped: false, took: .seconds(1), checks: [checks[0]]))
    #expect(good.contains("passed: the end of week"))
    #expect(DrillText.line(checks[1]) == "job-17: save FAILED: too late")
  }
}
