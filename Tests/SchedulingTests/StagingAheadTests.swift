import Domain
import Scheduling
import TestKit
import Testing

@Suite struct StagingAheadTests {
  private let digits = DatasetVersionID(1)

  /// Job 7 on `nodes` nodes, that reads 10 GiB.
  private func job(_ nodes: Int = 1, state: JobState = .running, edit: (inout JobSpec) -> Void = { _ in }) -> WaitingJob
  {
    .test(7, nodes: nodes, state: state, needs: StartNeeds(data: [digits: .gibibytes(10)]), edit: edit)
  }

  /// Job 7 runs on node 1 in lease 1, which ends in an hour; lease 2 on `others` lasts two.
  private func world(_ others: [NodeSnapshot], attempts: [LiveAttempt] = []) -> ClusterSnapshot {
    ClusterSnapshot(
      nodes: [.test(1)] + others,
      leases: [.test(1, nodes: [1], left: .hours(1)), .test(2, nodes: others.map(\.id.rawValue))],
      attempts: [.test(7, holding: [1: [0]])] + attempts)
  }

  private func nodes(
    _ job: WaitingJob, _ world: ClusterSnapshot, underWay: [StagingAhead] = []
  ) -> [Int64: Set<DatasetVersionID>] {
    let found = stagingAhead([job], in: world, at: noon, underWay: underWay)
    return Dictionary(uniqueKeysWithValues: (found.first?.nodes ?? [:]).map { ($0.key.rawValue, $0.value) })
  }

  @Test func stagesForARunningJobInTheLeaseThatComesAfter() throws {
    let found = stagingAhead([job()], in: world([.test(2), .test(3)]), at: noon)
    let staging = try #require(found.first)
    #expect(found.count == 1)
    #expect(staging.key == .init(job: JobID(7), lease: LeaseID(2)))
    #expect(staging.nodes == [NodeID(2): [digits]])
    #expect(staging.leaseEnd == noon + .hours(2))
    #expect(staging.isNeeded)
  }

  @Test func choosesTheNodesThatHaveMostOfItAsThePlannerWill() {
    let world = world([.test(2), .test(3, holding: [digits])])
    #expect(nodes(job(), world) == [3: []])
    #expect(nodes(job(2), world) == [2: [digits], 3: []])
    #expect(stagingAhead([job()], in: world, at: noon).first?.isNeeded == false)
  }

  @Test func stagesOnlyInALeaseThatOutlastsItsOwnAndIsLongEnough() {
    var early = world([.test(2)])
    early.leases[1] = .test(2, nodes: [2], left: .minutes(30))
    #expect(nodes(job(), early).isEmpty)
    var short = world([.test(2)])
    short.leases[1] = .test(2, nodes: [2], left: .minutes(61))
    #expect(nodes(job { $0.time.minimum = .minutes(5) }, short).isEmpty)
    #expect(!nodes(job(), short).isEmpty)
  }

  @Test(arguments: [LeaseState.pending, .ending, .terminated, .error])
  func stagesInNoLeaseThatIsNotActive(state: LeaseState) {
    var world = world([.test(2)])
    world.leases[1] = .test(2, nodes: [2], state: state)
    #expect(nodes(job(), world).isEmpty)
  }

  @Test func stagesInNoLeaseOfAnother() {
    var world = world([.test(2)])
    world.leases[1] = .test(2, nodes: [2], project: ProjectID(2))
    #expect(nodes(job(), world).isEmpty)
    #expect(nodes(job { $0.lease = .named("exp1") }, self.world([.test(2)])).isEmpty)
  }

  @Test func leavesNodesAloneOnWhichSomethingRunsOrWhichAreNotWell() {
    let busy = LiveAttempt.test(8, lease: 2, holding: [2: [0]])
    #expect(nodes(job { $0.resources.gpusPerNode = 1 }, world([.test(2)], attempts: [busy])).isEmpty)
    #expect(nodes(job(), world([.test(2, state: .suspect), .test(3, drained: true), .test(4)])) == [4: [digits]])
    #expect(nodes(job { $0.resources.nodeType = "gpu_v100" }, world([.test(2)])).isEmpty)
  }

  @Test func neverFillsADisk() {
    let full = NodeSnapshot.test(2, disk: .gibibytes(10))
    #expect(nodes(job(), world([full])).isEmpty)
    #expect(nodes(job(), world([full, .test(3, disk: .gibibytes(11))])) == [3: [digits]])
    // Two jobs do not get the same room.
    let other = WaitingJob.test(
      6, state: .leaseWait, needs: StartNeeds(data: [DatasetVersionID(2): .gibibytes(10)])
    ) { $0.resources.gpusPerNode = 1 }
    let roomy = NodeSnapshot.test(2, disk: .gibibytes(15))
    let found = stagingAhead(
      [job { $0.resources.gpusPerNode = 1 }, other], in: world([roomy]), at: noon)
    #expect(found.map(\.key.job) == [JobID(6)])
  }

  @Test func goesOnWhereItHasBegunAlthoughTheRoomIsBeingUsed() throws {
    let before = stagingAhead([job()], in: world([.test(2), .test(3)]), at: noon)
    let filling = world([.test(2, disk: .gibibytes(3)), .test(3)])
    #expect(nodes(job(), filling) == [3: [digits]])
    #expect(nodes(job(), filling, underWay: before) == [2: [digits]])
    // Not where something else has begun to run.
    let busy = world([.test(2), .test(3)], attempts: [.test(8, lease: 2, holding: [2: [0]])])
    #expect(nodes(job(), busy, underWay: before) == [3: [digits]])
  }

  @Test func stagesOnTheFreeNodesForAJobThatWaitsForBusyOnes() {
    let waiting = job(2, state: .pending)
    var world = ClusterSnapshot(
      nodes: [.test(2), .test(3)], leases: [.test(2, nodes: [2, 3])], waiting: [waiting],
      attempts: [.test(8, lease: 2, holding: [2: [0]])])
    #expect(nodes(waiting, world) == [3: [digits]])
    // Whoever starts at once stages by itself.
    world.attempts = []
    #expect(nodes(waiting, world).isEmpty)
  }

  @Test func doesNothingForAJobThatIsHeldOrNeedsNoData() {
    #expect(nodes(job(state: .held), world([.test(2)])).isEmpty)
    #expect(nodes(.test(7, state: .running), world([.test(2)])).isEmpty)
  }

  @Test func gangsOfDifferentJobsGetDifferentNodes() {
    let other = WaitingJob.test(
      8, priority: 60, state: .running, needs: StartNeeds(data: [digits: .gibibytes(1)]))
    var world = world([.test(2), .test(3)])
    world.nodes.append(.test(4))
    world.leases[0].nodes.append(NodeID(4))
    world.attempts.append(.test(8, holding: [4: [0]]))
    let found = stagingAhead([job(), other], in: world, at: noon)
    #expect(found.map(\.key.job) == [JobID(8), JobID(7)])
    #expect(found.map { $0.nodes.keys.map(\.rawValue) } == [[2], [3]])
  }

  @Test(arguments: UInt64(0)..<200)
  func keepsOffWhatItMayNotTouch(seed: UInt64) {
    let world = ClusterSnapshot.random(seed: seed)
    let jobs = world.waiting
    let found = stagingAhead(jobs, in: world, at: noon)
    #expect(Set(found.map(\.key.job)).count == found.count)
    #expect(stagingAhead(jobs.reversed(), in: world.shuffled(seed: seed), at: noon) == found)
    let busy = Set(world.attempts.flatMap(\.placement.nodes)).union(
      plan(world, at: noon).starts.flatMap(\.placement.nodes))
    for staging in found {
      let lease = world.leases.first { $0.id == staging.key.lease }
      let job = jobs.first { $0.id == staging.key.job }
      #expect(lease?.state == .active && lease?.project == job?.project)
      for (id, lacking) in staging.nodes {
        let node = world.nodes.first { $0.id == id }
        #expect(!busy.contains(id) && lease?.nodes.contains(id) == true && node?.state == .alive)
        let bytes = lacking.reduce(staging.reserve) { $0 + (job?.needs.data[$1] ?? .zero) }
        #expect(bytes <= node?.diskFree ?? .zero)
      }
    }
  }
}

@Suite struct VerdictTests {
  @Test func aRunningJobsOwnNodesCountAsFree() {
    let job = WaitingJob.test(7, state: .running)
    let world = ClusterSnapshot(
      nodes: [.test(1), .test(2)],
      leases: [
        .test(1, nodes: [1]), .test(2, nodes: [2], left: .hours(4), state: .pending, startsIn: .hours(3)),
        .test(3, nodes: [2], left: .seconds(10)),
      ], attempts: [.test(7, holding: [1: [0, 1, 2, 3]])])
    let found = verdicts(on: job, in: world, at: noon)
    #expect(found.first { $0.lease == LeaseID(1) }?.refusal == nil)
    #expect(
      found.first { $0.lease == LeaseID(2) }?.refusal == .leaseNotStarted(lease: LeaseID(2), startsIn: .hours(3)))
    #expect(found.first { $0.lease == LeaseID(3) }?.refusal?.reason == "LeaseTooShort")
    var busy = world
    busy.attempts.append(.test(8, holding: [1: [0]]))
    #expect(verdicts(on: job, in: busy, at: noon).first { $0.lease == LeaseID(1) }?.refusal?.reason == "Resources")
  }
}
