import Domain
import Scheduling
import TestKit
import Testing

/// Two leases: exp1 with node 1, which is busy, and exp2 with nodes 2 and 3, which are free and end sooner.
private func world(_ waiting: [WaitingJob]) -> ClusterSnapshot {
  ClusterSnapshot(
    nodes: [.test(1), .test(2), .test(3)],
    leases: [.test(1, nodes: [1], left: .hours(9)), .test(2, nodes: [2, 3])], waiting: waiting,
    attempts: [.test(99, holding: [1: [0, 1, 2]])])
}

@Suite struct QueueRuleTests {
  @Test func goesByPriorityThenSubmissionThenNumber() {
    var twin = WaitingJob.test(9)
    twin.submittedAt = WaitingJob.test(3).submittedAt
    let world = ClusterSnapshot(
      nodes: (1...5).map { .test($0) }, leases: [.test(1, nodes: [1, 2, 3, 4, 5])],
      waiting: [.test(1, priority: 40), twin, .test(3), .test(4, priority: 60), .test(2)])
    #expect(plan(world, at: noon).starts.map(\.job.rawValue) == [4, 2, 3, 9, 1])
  }

  @Test func letsAJobBetweenLeasesKeepItsPlace() {
    let world = ClusterSnapshot(
      nodes: [.test(1)], leases: [.test(1, nodes: [1])], waiting: [.test(2), .test(1, state: .leaseWait)])
    #expect(plan(world, at: noon).starts.map(\.job) == [JobID(1)])
  }

  @Test(arguments: JobState.allCases.filter { !$0.isWaiting && $0 != .held })
  func looksAtNoJobThatDoesNotWait(state: JobState) {
    let world = ClusterSnapshot(
      nodes: [.test(1)], leases: [.test(1, nodes: [1])], waiting: [.test(1, state: state)])
    #expect(plan(world, at: noon) == Plan())
    #expect(explain(JobID(1), in: world, at: noon) == nil)
  }

  @Test func keepsALeaseForTheFirstThatWaitsForItsNodes() {
    let big = WaitingJob.test(1) { $0.lease = .named("exp1") }
    let small = WaitingJob.test(2, gpus: 1) { $0.lease = .named("exp1") }
    let next = WaitingJob.test(3, gpus: 1) { $0.lease = .named("exp1") }
    let result = plan(world([big, small, next]), at: noon)
    #expect(result.starts.isEmpty)
    #expect(
      result.refusals == [
        JobID(1): .nodesBusy(wanted: 1, free: 0), JobID(2): .behind(job: JobID(1)), JobID(3): .behind(job: JobID(1)),
      ])
  }

  @Test func letsLaterJobsUseOtherLeases() {
    let big = WaitingJob.test(1) { $0.lease = .named("exp1") }
    let result = plan(world([big, .test(2)]), at: noon)
    #expect(result.starts.map(\.job) == [JobID(2)])
    #expect(result.starts.map(\.lease) == [LeaseID(2)])
  }

  @Test func doesNotWaitInOneLeaseForWhatItGetsInAnother() {
    let small = WaitingJob.test(2, gpus: 1) { $0.lease = .named("exp1") }
    let result = plan(world([.test(1), small]), at: noon)
    #expect(result.starts.map(\.lease) == [LeaseID(2), LeaseID(1)])
  }

  @Test func isNotBlockedByWhatCanNeverStart() {
    let hopeless: [WaitingJob] = [
      .test(1, nodes: 9), .test(2, gpus: 9), .test(3) { $0.time.minimum = .days(2) },
      .test(4) { $0.resources.localDisk = .gibibytes(500) }, .test(5, state: .held),
    ]
    let result = plan(world(hopeless + [.test(6)]), at: noon)
    #expect(result.starts.map(\.job) == [JobID(6)])
    #expect(Set(result.refusals.keys.map(\.rawValue)) == [1, 2, 3, 4, 5])
    #expect(
      result.refusals.values.map(\.reason).sorted()
        == ["DiskTooSmall", "Held", "LeaseTooShort", "TooFewGPUs", "TooManyNodes"])
  }

  @Test func showsTheMostHopefulRefusal() {
    let job = WaitingJob.test(1) { $0.resources.nodeType = "gpu_a100" }
    let leases: [LeaseSnapshot] = [
      .test(1, nodes: [1]), .test(2, nodes: [2], left: .hours(4), state: .pending, startsIn: .hours(1)),
      .test(3, nodes: [3], left: .seconds(5)), .test(4, nodes: [4]),
    ]
    let nodes: [NodeSnapshot] = [.test(1), .test(2), .test(3), .test(4, type: "gpu_v100")]
    var world = ClusterSnapshot(
      nodes: nodes, leases: leases, waiting: [job], attempts: [.test(99, holding: [1: [0]])])
    var shown: [String] = []
    while !world.leases.isEmpty {
      shown.append(plan(world, at: noon).refusals[job.id]?.reason ?? "starts")
      world.leases.removeFirst()
    }
    #expect(shown == ["Resources", "LeaseNotStarted", "LeaseTooShort", "TooManyNodes"])
  }

  @Test func explainsLeaseByLease() throws {
    let later = LeaseSnapshot.test(3, nodes: [3], left: .hours(4), state: .pending, startsIn: .hours(1))
    let needs = StartNeeds(launch: .seconds(5), lastSave: .seconds(15))
    var snapshot = world([
      .test(1, needs: needs) {
        $0.checkpoint.every = .minutes(2)
        $0.time.minimum = .minutes(3)
      }
    ])
    snapshot.leases = [later, .test(1, nodes: [1])]
    let explanation = try #require(explain(JobID(1), in: snapshot, at: noon))
    #expect(explanation.refusal == .nodesBusy(wanted: 1, free: 0))
    #expect(
      explanation.leases == [
        .init(lease: LeaseID(1), name: "exp1", refusal: .nodesBusy(wanted: 1, free: 0)),
        .init(lease: LeaseID(3), name: "exp3", refusal: .leaseNotStarted(lease: LeaseID(3), startsIn: .hours(1))),
      ])
    #expect(
      explanation.needed.map { "\($0.name) \($0.length)" }
        == ["staging 0s", "launch 5s", "restore 0s", "checkpoint interval 2m", "last save 15s", "minimum 40s"])
    #expect(explain(JobID(77), in: snapshot, at: noon) == nil)
  }
}
