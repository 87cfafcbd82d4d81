import Testing

@testable import Domain

@Suite struct AttemptEndTests {
  private func spec(_ change: (inout JobSpec) -> Void = { _ in }) -> JobSpec {
    var spec = JobSpec(name: "train", command: ["train"])
    change(&spec)
    return spec
  }

  private func end(
    _ outcome: AttemptOutcome, exitCode: Int? = nil, _ change: (inout AttemptEnd) -> Void = { _ in }
  ) -> AttemptEnd {
    var end = AttemptEnd(outcome: outcome, exitCode: exitCode)
    change(&end)
    return end
  }

  @Test(arguments: [AttemptOutcome.leaseEnded, .lost])
  func goesOnFromItsCheckpointWhenItsNodesGo(outcome: AttemptOutcome) {
    #expect(spec().fate(after: end(outcome) { $0.hasCheckpoint = true }).state == .leaseWait)
    #expect(spec().fate(after: end(outcome)).state == .pending)
  }

  @Test func endsWithItsLeaseWhenToldTo() {
    let fate = spec { $0.survivesLease = false }.fate(after: end(.leaseEnded) { $0.hasCheckpoint = true })
    #expect(fate == JobFate(.failed, "LeaseEnded"))
  }

  @Test func honoursAContinueOnlyAfterProgress() {
    #expect(spec().fate(after: end(.saved, exitCode: 85)).reason == "NoProgress")
    let went = end(.saved, exitCode: 85) {
      $0.madeProgress = true
      $0.hasCheckpoint = true
    }
    #expect(spec().fate(after: went).state == .leaseWait)
  }

  @Test func retriesOnlyWhatThePolicyNamesAndAsOftenAsItSays() {
    let patient = spec {
      $0.retry.maxRestarts = 2
      $0.retry.onExitCodes = [3]
    }
    #expect(patient.fate(after: end(.failed, exitCode: 3)).usesRestart)
    #expect(patient.fate(after: end(.failed, exitCode: 3) { $0.restartsUsed = 2 }).state == .failed)
    #expect(patient.fate(after: end(.failed, exitCode: 4)).state == .failed)
    #expect(spec().fate(after: end(.failed, exitCode: 3)).state == .failed)
  }

  @Test func aProgramThatFailsRightAfterItResumedWaitsForAPerson() {
    let stuck = end(.failed, exitCode: 1) {
      $0.hasCheckpoint = true
      $0.stuckAtResume = true
    }
    #expect(spec().fate(after: stuck) == JobFate(.held, "ResumeFailed"))
    let patient = spec {
      $0.retry.maxRestarts = 1
      $0.retry.onExitCodes = [1]
    }
    #expect(patient.fate(after: stuck).usesRestart)
    var again = stuck
    again.restartsUsed = 1
    #expect(patient.fate(after: again).state == .held)
  }

  @Test(arguments: [AttemptOutcome.stagingFailed, .launchFailed, .elsewhere])
  func givesUpAfterTheThirdTroubleOfNodesInARow(outcome: AttemptOutcome) {
    for earlier in 0..<AttemptEnd.nodeFailuresMost {
      let fate = spec().fate(after: end(outcome) { $0.nodeFailures = earlier })
      #expect(fate.isNodeFailure)
      #expect(fate.state == (earlier < 2 ? .pending : .failed))
    }
  }

  @Test func holdsAJobThatIsLostAgainAndAgainForNothing() {
    for (earlier, state) in [(0, JobState.pending), (3, .pending), (4, .held), (9, .held)] {
      let fate = spec().fate(after: end(.lost) { $0.lostInRow = earlier })
      #expect(fate.state == state)
      #expect(fate.lostInRow == earlier + 1)
    }
    let further = end(.lost) {
      $0.lostInRow = 9
      $0.brokeNewGround = true
    }
    #expect(spec().fate(after: further).state == .pending)
    #expect(spec().fate(after: further).lostInRow == 0)
    // Trouble before the ranks ran neither counts nor takes back; whatever else ends an attempt does.
    #expect(spec().fate(after: end(.stagingFailed) { $0.lostInRow = 3 }).lostInRow == 3)
    #expect(spec().fate(after: end(.leaseEnded) { $0.lostInRow = 3 }).lostInRow == 0)
    // A store that is away fails no job, and holds it once somebody has to look.
    for (earlier, state) in [(0, JobState.pending), (4, .held)] {
      let away = end(.stagingFailed) {
        $0.stagingFault = .store
        $0.lostInRow = earlier
        $0.nodeFailures = 2
        $0.brokeNewGround = true
      }
      let fate = spec().fate(after: away)
      #expect(fate.state == state && fate.reason == "StoreUnavailable" && !fate.isNodeFailure)
      #expect(fate.lostInRow == earlier + 1)
    }
    let late = end(.lost) {
      $0.lostInRow = 9
      $0.ran = .hours(2)
    }
    #expect(spec { $0.time.limit = .hours(1) }.fate(after: late).state == .timeout)
  }

  @Test func failsAtOnceWhenItsDataCannotBeStagedAnywhere() {
    let fate = spec().fate(after: end(.stagingFailed) { $0.stagingFault = .job })
    #expect(fate == JobFate(.failed, "StagingFailed"))
  }

  @Test func timesOutInsteadOfGoingOnWhenItsTimeIsUsed() {
    let bounded = spec { $0.time.limit = .minutes(10) }
    #expect(bounded.fate(after: end(.leaseEnded) { $0.ran = .minutes(10) }).state == .timeout)
    #expect(bounded.fate(after: end(.leaseEnded) { $0.ran = .minutes(9) }).state == .pending)
    #expect(bounded.fate(after: end(.completed) { $0.ran = .minutes(11) }).state == .completed)
  }

  @Test func aRequestToCancelWinsOverGoingOnButNotOverCompletion() {
    #expect(spec().fate(after: end(.leaseEnded) { $0.cancelRequested = true }).state == .cancelled)
    #expect(spec().fate(after: end(.completed) { $0.cancelRequested = true }).state == .completed)
  }

  @Test(arguments: AttemptOutcome.allCases)
  func everyOutcomeLeadsWhereARunningJobMayGo(outcome: AttemptOutcome) {
    for hasCheckpoint in [false, true] {
      let fate = spec().fate(after: end(outcome) { $0.hasCheckpoint = hasCheckpoint })
      #expect(JobState.running.canBecome(fate.state))
    }
  }
}
