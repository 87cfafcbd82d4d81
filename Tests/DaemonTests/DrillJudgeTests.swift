import Domain
import Testing
import Wire

@testable import Daemon

@Suite struct DrillJudgeTests {
  private let job = JobID(17)

  @Test func aSaveThatTookLongerThanTheLastOneHasFails() {
    let good = DrillJudge.save(job, step: 40, took: .seconds(4), lead: .seconds(10), patience: .minutes(1))
    #expect(good.passed && good.took == .seconds(4) && good.allowed == .seconds(10) && good.next == nil)
    let late = DrillJudge.save(job, step: 40, took: .seconds(11), lead: .seconds(10), patience: .minutes(1))
    #expect(!late.passed && late.next != nil)
  }

  @Test func aProgramThatSavesNothingFailsAndIsToldHow() {
    let none = DrillJudge.save(job, step: nil, took: nil, lead: .seconds(10), patience: .minutes(1))
    #expect(!none.passed && none.detail.contains("within 1m") && none.next?.contains("SIGUSR1") == true)
    let left = DrillJudge.save(
      job, step: nil, took: nil, lead: .seconds(10), patience: .minutes(1), outcome: .completed)
    #expect(!left.passed && left.detail.contains("COMPLETED"))
  }

  @Test func waitsAsLongAsMakesSenseAndNeverPastTheLease() {
    #expect(DrillJudge.patience(lead: .seconds(3), grace: .zero, left: .hours(1)) == .minutes(1))
    #expect(DrillJudge.patience(lead: .minutes(2), grace: .seconds(30), left: .hours(1)) == .seconds(510))
    #expect(DrillJudge.patience(lead: .minutes(2), grace: .zero, left: .minutes(5)) == .minutes(3))
    #expect(DrillJudge.patience(lead: .minutes(2), grace: .zero, left: .seconds(-1)) == .zero)
  }

  @Test func aRunThatDoesNotGoOnFromItsCheckpointFails() {
    #expect(DrillJudge.resume(job, hasStepped: true, isSaved: true, handoff: nil, patience: .minutes(1)).passed)
    #expect(!DrillJudge.resume(job, hasStepped: true, isSaved: false, handoff: nil, patience: .minutes(1)).passed)
    #expect(!DrillJudge.resume(job, hasStepped: false, isSaved: false, handoff: nil, patience: .minutes(1)).passed)
  }

  private func verdict(_ lease: Int64, _ refusal: Refusal?) -> Explanation.Verdict {
    .init(lease: LeaseID(lease), name: "exp\(lease)", refusal: refusal)
  }

  @Test func theNextLeaseHasToTakeIt() {
    let short = verdict(2, .leaseTooShort(lease: LeaseID(2), needed: .hours(2), remaining: .hours(1)))
    let later = verdict(3, .leaseNotStarted(lease: LeaseID(3), startsIn: .hours(1)))
    #expect(DrillJudge.nextLease([short, later], for: job).passed)
    #expect(DrillJudge.nextLease([verdict(2, nil)], for: job).detail == "it fits exp2 (lease-2) now")
    let failed = DrillJudge.nextLease([short], for: job)
    #expect(!failed.passed && failed.detail.contains("need 2h"))
    #expect(DrillJudge.nextLease([], for: job).passed)
  }
}
