import Domain
import Scheduling
import TestKit
import Testing

/// The refusal of job 1 in a world of `nodes`, `leases`, and itself.
private func refusal(
  _ job: WaitingJob, _ leases: [LeaseSnapshot], _ nodes: [NodeSnapshot] = [.test(1), .test(2)]
) -> Refusal? {
  plan(ClusterSnapshot(nodes: nodes, leases: leases, waiting: [job]), at: noon).refusals[job.id]
}

@Suite struct LeaseRuleTests {
  @Test func startsInAnActiveLease() {
    let world = ClusterSnapshot(nodes: [.test(1)], leases: [.test(1, nodes: [1])], waiting: [.test(7)])
    let expected = Start(
      job: JobID(7), lease: LeaseID(1),
      placement: Placement(shares: [.init(node: NodeID(1), gpus: [0, 1, 2, 3])]))
    #expect(plan(world, at: noon) == Plan(starts: [expected]))
  }

  @Test func refusesWithoutALease() {
    #expect(refusal(.test(1), []) == .noLease)
    #expect(refusal(.test(1), [.test(1, nodes: [1], project: ProjectID(2))]) == .noLease)
    #expect(refusal(.test(1), [.test(1, nodes: [1], state: .terminated)]) == .noLease)
    #expect(refusal(.test(1), [.test(1, nodes: [1], state: .error)]) == .noLease)
  }

  @Test func refusesALeaseThatIsNotActiveYet() {
    let later = LeaseSnapshot.test(1, nodes: [1], left: .hours(3), state: .pending, startsIn: .hours(1))
    #expect(refusal(.test(1), [later]) == .leaseNotStarted(lease: LeaseID(1), startsIn: .hours(1)))
    // The provider said ACTIVE too early: the period decides.
    let early = LeaseSnapshot.test(1, nodes: [1], left: .hours(3), state: .active, startsIn: .hours(1))
    #expect(refusal(.test(1), [early]) == .leaseNotStarted(lease: LeaseID(1), startsIn: .hours(1)))
    // Its time has come, but nobody has seen its nodes yet.
    let due = LeaseSnapshot.test(1, nodes: [1], state: .pending)
    #expect(refusal(.test(1), [due]) == .leaseNotStarted(lease: LeaseID(1), startsIn: .zero))
  }

  @Test func refusesALeaseThatEndsOrHasEnded() {
    #expect(refusal(.test(1), [.test(1, nodes: [1], state: .ending)]) == .leaseEnding(lease: LeaseID(1)))
    #expect(refusal(.test(1), [.test(1, nodes: [1], left: .zero)]) == .leaseEnding(lease: LeaseID(1)))
  }

  @Test(arguments: ["exp2", "lease-2"])
  func usesOnlyTheNamedLease(name: String) {
    let world = ClusterSnapshot(
      nodes: [.test(1), .test(2)], leases: [.test(1, nodes: [1]), .test(2, nodes: [2])],
      waiting: [.test(1) { $0.lease = .named(name) }])
    #expect(plan(world, at: noon).starts.map(\.lease) == [LeaseID(2)])
  }

  @Test func takesANameBeforeAnID() {
    let world = ClusterSnapshot(
      nodes: [.test(1), .test(2)], leases: [.test(1, nodes: [1], name: "lease-2"), .test(2, nodes: [2])],
      waiting: [.test(1) { $0.lease = .named("lease-2") }])
    #expect(plan(world, at: noon).starts.map(\.lease) == [LeaseID(1)])
  }

  @Test func refusesALeaseThatDoesNotExistOrIsAnothers() {
    let job = WaitingJob.test(1) { $0.lease = .named("exp9") }
    #expect(refusal(job, [.test(1, nodes: [1])]) == .leaseUnknown(name: "exp9"))
    #expect(refusal(job, [.test(9, nodes: [1], project: ProjectID(2))]) == .leaseUnknown(name: "exp9"))
  }

  @Test func prefersTheLeaseThatEndsLast() {
    let leases: [LeaseSnapshot] = [
      .test(1, nodes: [1], left: .hours(2)), .test(3, nodes: [3], left: .hours(5)),
      .test(2, nodes: [2], left: .hours(5)),
    ]
    let world = ClusterSnapshot(nodes: [.test(1), .test(2), .test(3)], leases: leases, waiting: [.test(1)])
    #expect(plan(world, at: noon).starts.map(\.lease) == [LeaseID(2)])
  }

  @Test func countsEveryPartOfTheTimeItNeeds() {
    var needs = StartNeeds(launch: .seconds(5), lastSave: .seconds(20))
    needs.data = [DatasetVersionID(1): ByteCount(1_000_000_000), DatasetVersionID(2): ByteCount(500_000_000)]
    needs.restore = ByteCount(250_000_000)
    let job = WaitingJob.test(1, needs: needs) { $0.checkpoint.every = .minutes(10) }
    // 20 s for the data set the node lacks, 5 s launch, 5 s restore, 600 s interval, 20 s last save.
    let nodes: [NodeSnapshot] = [.test(1, holding: [DatasetVersionID(2)])]
    #expect(refusal(job, [.test(1, nodes: [1], left: .seconds(650))], nodes) == nil)
    let short = TimeSpan.seconds(650) - TimeSpan(microseconds: 1)
    #expect(
      refusal(job, [.test(1, nodes: [1], left: short)], nodes)
        == .leaseTooShort(lease: LeaseID(1), needed: .seconds(650), remaining: short))
  }

  @Test func keepsTheMinimumTheUserAskedFor() {
    let job = WaitingJob.test(1) { $0.time.minimum = .hours(1) }
    #expect(refusal(job, [.test(1, nodes: [1], left: .hours(1))]) == nil)
    #expect(
      refusal(job, [.test(1, nodes: [1], left: .minutes(59))])
        == .leaseTooShort(lease: LeaseID(1), needed: .hours(1), remaining: .minutes(59)))
  }

  @Test func saysAtOnceThatALeaseToComeWillBeTooShort() {
    let job = WaitingJob.test(1) { $0.time.minimum = .hours(3) }
    let later = LeaseSnapshot.test(1, nodes: [1], left: .hours(3), state: .pending, startsIn: .hours(1))
    #expect(
      refusal(job, [later]) == .leaseTooShort(lease: LeaseID(1), needed: .hours(3), remaining: .hours(2)))
  }

  @Test func expectsEmptyDisksInALeaseToCome() {
    var needs = StartNeeds(stagingRate: 1_000_000, launch: .zero, lastSave: .zero)
    needs.data = [DatasetVersionID(1): ByteCount(3_600_000_000)]
    let nodes: [NodeSnapshot] = [.test(1, holding: [DatasetVersionID(1)])]
    let later = LeaseSnapshot.test(1, nodes: [1], left: .minutes(90), state: .pending, startsIn: .hours(1))
    #expect(
      refusal(.test(1, needs: needs), [later], nodes)
        == .leaseTooShort(lease: LeaseID(1), needed: .hours(1), remaining: .minutes(30)))
  }

  @Test func neverFitsDataThatNeverComes() {
    var needs = StartNeeds(stagingRate: 0)
    needs.data = [DatasetVersionID(1): ByteCount(1)]
    needs.restore = ByteCount(1)
    guard case .leaseTooShort(_, let needed, _) = refusal(.test(1, needs: needs), [.test(1, nodes: [1])]) else {
      Issue.record("a rate of zero brings nothing")
      return
    }
    #expect(needed > .days(10_000))
  }

  @Test func wakesAtTheNextLeaseOfAWaitingProject() {
    let other = ProjectID(2)
    let leases: [LeaseSnapshot] = [
      .test(1, nodes: [1], left: .hours(9), state: .pending, startsIn: .hours(3)),
      .test(2, nodes: [1], left: .hours(3), state: .pending, startsIn: .hours(2)),
      .test(3, nodes: [2], left: .hours(3), state: .pending, startsIn: .hours(1), project: other),
      .test(4, nodes: [2], left: .hours(3), state: .error, startsIn: .minutes(5)),
    ]
    let nodes: [NodeSnapshot] = [.test(1), .test(2)]
    let ours = ClusterSnapshot(nodes: nodes, leases: leases, waiting: [.test(1)])
    #expect(plan(ours, at: noon).wakeAt == noon + .hours(2))
    let held = ClusterSnapshot(nodes: nodes, leases: leases, waiting: [.test(1, state: .held)])
    #expect(plan(held, at: noon).wakeAt == nil)
    #expect(plan(held, at: noon).refusals == [JobID(1): .held])
  }
}
