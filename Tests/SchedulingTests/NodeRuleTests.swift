import Domain
import Scheduling
import TestKit
import Testing

/// Plans `job` on `nodes`, all in one lease, beside `attempts`.
private func planned(
  _ job: WaitingJob, on nodes: [NodeSnapshot], beside attempts: [LiveAttempt] = []
) -> (start: Start?, refusal: Refusal?) {
  let lease = LeaseSnapshot.test(1, nodes: nodes.map(\.id.rawValue))
  let result = plan(
    ClusterSnapshot(nodes: nodes, leases: [lease], waiting: [job], attempts: attempts), at: noon)
  return (result.starts.first, result.refusals[job.id])
}

private let imageNet = DatasetVersionID(1)

@Suite struct NodeRuleTests {
  @Test func placesAGangOnNodesOfItsOwn() {
    let start = planned(.test(1, nodes: 2, gpus: 2), on: [.test(1), .test(2), .test(3)]).start
    #expect(
      start?.placement.shares == [.init(node: NodeID(1), gpus: [0, 1]), .init(node: NodeID(2), gpus: [0, 1])])
  }

  @Test func anElasticJobTakesWhatIsFreeUpToItsMost() {
    let nodes: [NodeSnapshot] = (1...4).map { .test($0) }
    let elastic = WaitingJob.test(1, nodes: 2) { $0.resources.nodesMost = 3 }
    #expect(planned(elastic, on: nodes).start?.placement.nodes == [1, 2, 3].map { NodeID($0) })
    let busy = [LiveAttempt.test(8, holding: [1: []]), .test(9, holding: [2: []])]
    #expect(planned(elastic, on: nodes, beside: busy).start?.placement.nodes == [3, 4].map { NodeID($0) })
    #expect(
      planned(elastic, on: nodes, beside: busy + [.test(7, holding: [3: []])]).refusal == .nodesBusy(wanted: 2, free: 1)
    )
    #expect(planned(elastic, on: [.test(1)]).refusal == .tooManyNodes(wanted: 2, most: 1))
  }

  @Test func anElasticJobLeavesOutNodesThatWouldBeTooLate() {
    let job = WaitingJob.test(
      1, needs: StartNeeds(data: [imageNet: .gibibytes(90)], stagingRate: 10_000_000)
    ) { $0.resources.nodesMost = 3 }
    let nodes: [NodeSnapshot] = [.test(1, holding: [imageNet]), .test(2), .test(3, holding: [imageNet])]
    #expect(planned(job, on: nodes).start?.placement.nodes == [NodeID(1), NodeID(3)])
  }

  @Test func refusesMoreNodesThanTheLargestLeaseHas() {
    let nodes: [NodeSnapshot] = [.test(1), .test(2), .test(3)]
    let leases: [LeaseSnapshot] = [
      .test(1, nodes: [1]), .test(2, nodes: [2, 3], left: .hours(9), state: .pending, startsIn: .hours(1)),
    ]
    let world = ClusterSnapshot(nodes: nodes, leases: leases, waiting: [.test(1, nodes: 3)])
    #expect(plan(world, at: noon).refusals[JobID(1)] == .tooManyNodes(wanted: 3, most: 2))
    let two = ClusterSnapshot(nodes: nodes, leases: leases, waiting: [.test(1, nodes: 2)])
    #expect(
      plan(two, at: noon).refusals[JobID(1)] == .leaseNotStarted(lease: LeaseID(2), startsIn: .hours(1)))
  }

  @Test func countsANodeOnceThoughTheLeaseNamesItTwice() {
    let world = ClusterSnapshot(
      nodes: [.test(1)], leases: [.test(1, nodes: [1, 1])], waiting: [.test(1, nodes: 2)])
    #expect(plan(world, at: noon).refusals[JobID(1)] == .tooManyNodes(wanted: 2, most: 1))
  }

  @Test func refusesNodesOfAnotherTypeOrWithTooFewGPUs() {
    let nodes: [NodeSnapshot] = [.test(1, type: "gpu_v100"), .test(2)]
    let typed = WaitingJob.test(1, nodes: 2) { $0.resources.nodeType = "gpu_v100" }
    #expect(planned(typed, on: nodes).refusal == .tooManyNodes(wanted: 2, most: 1))
    #expect(planned(.test(1, gpus: 8), on: nodes).refusal == .tooFewGPUs(wanted: 8, most: 4))
  }

  @Test(arguments: [NodeState.suspect, .dead, .absent])
  func refusesNodesThatDoNotAnswer(state: NodeState) {
    let nodes: [NodeSnapshot] = [.test(1), .test(2, state: state)]
    #expect(planned(.test(1, nodes: 2), on: nodes).refusal == .nodesUnavailable(wanted: 2, usable: 1))
    #expect(planned(.test(1), on: nodes).start?.placement.nodes == [NodeID(1)])
  }

  @Test func refusesDrainedNodes() {
    #expect(planned(.test(1), on: [.test(1, drained: true)]).refusal == .nodesUnavailable(wanted: 1, usable: 0))
  }

  @Test func wantsAWholeNodeCompletelyFree() {
    let some = LiveAttempt.test(9, holding: [1: [0]])
    let none = LiveAttempt.test(9, holding: [1: []])
    #expect(planned(.test(1), on: [.test(1)], beside: [some]).refusal == .nodesBusy(wanted: 1, free: 0))
    #expect(planned(.test(1), on: [.test(1)], beside: [none]).refusal == .nodesBusy(wanted: 1, free: 0))
  }

  @Test func givesOnlyGPUsThatNobodyHolds() {
    let other = LiveAttempt.test(9, holding: [1: [0, 2]])
    #expect(planned(.test(1, gpus: 2), on: [.test(1)], beside: [other]).start?.placement.shares.first?.gpus == [1, 3])
    #expect(planned(.test(1, gpus: 3), on: [.test(1)], beside: [other]).refusal == .nodesBusy(wanted: 1, free: 0))
  }

  @Test func sharesANodeWithAnAttemptThatWantsNoGPU() {
    let other = LiveAttempt.test(9, holding: [1: []])
    #expect(planned(.test(1, gpus: 4), on: [.test(1)], beside: [other]).start != nil)
    let full = LiveAttempt.test(9, holding: [1: [0, 1, 2, 3]])
    #expect(planned(.test(1, gpus: 0), on: [.test(1)], beside: [full]).start?.placement.shares.first?.gpus == [])
  }

  @Test func countsDataCheckpointsAndFilesAgainstTheDisk() {
    var needs = StartNeeds(restore: .gibibytes(2), checkpointRoom: .gibibytes(6))
    needs.data = [imageNet: .gibibytes(10)]
    let job = WaitingJob.test(1, needs: needs) { $0.resources.localDisk = .gibibytes(1) }
    let needed = ByteCount.gibibytes(19) + .mebibytes(16)
    #expect(planned(job, on: [.test(1, disk: needed)]).start != nil)
    #expect(
      planned(job, on: [.test(1, disk: .gibibytes(17)), .test(2, disk: .gibibytes(18))]).refusal
        == .diskTooSmall(node: NodeID(2), needed: needed, room: .gibibytes(18)))
    // What is there already needs no more room.
    #expect(planned(job, on: [.test(1, disk: .gibibytes(10), holding: [imageNet])]).start != nil)
  }

  @Test func sendsNothingToADiskThatIsFull() {
    #expect(
      planned(.test(1), on: [.test(1, disk: .mebibytes(3))]).refusal
        == .diskTooSmall(node: NodeID(1), needed: .mebibytes(16), room: .mebibytes(3)))
  }

  @Test func countsWhatCanBeEvictedForTheJobAsRoom() {
    let old = EvictableReplica(versions: [DatasetVersionID(8), DatasetVersionID(9)], size: .gibibytes(6))
    let own = EvictableReplica(versions: [imageNet, DatasetVersionID(7)], size: .gibibytes(10))
    let needs = StartNeeds(data: [imageNet: .gibibytes(10)], checkpointRoom: .gibibytes(5))
    let job = WaitingJob.test(1, needs: needs)
    let needed = ByteCount.gibibytes(15) + .mebibytes(16)
    #expect(planned(job, on: [.test(1, disk: .gibibytes(10), evictable: [old])]).start != nil)
    #expect(
      planned(job, on: [.test(1, disk: .gibibytes(9), evictable: [old])]).refusal
        == .diskTooSmall(node: NodeID(1), needed: needed, room: .gibibytes(15)))
    // What it reads itself stays, by whatever name somebody else has it.
    let there = NodeSnapshot.test(1, disk: .gibibytes(5), holding: [imageNet], evictable: [own])
    #expect(
      planned(job, on: [there]).refusal
        == .diskTooSmall(node: NodeID(1), needed: needed - .gibibytes(10), room: .gibibytes(5)))
    // What others were promised comes first.
    let owing = NodeSnapshot.test(1, disk: .zero, owing: .gibibytes(6), evictable: [own, old])
    #expect(
      planned(.test(2), on: [owing]).start != nil
        && planned(job, on: [owing]).refusal
          == .diskTooSmall(node: NodeID(1), needed: needed, room: .zero)
    )
  }

  @Test func givesRoomThatCanBeMadeToOneOnly() {
    let old = EvictableReplica(versions: [DatasetVersionID(9)], size: .gibibytes(6))
    let needs = StartNeeds(checkpointRoom: .gibibytes(5))
    func refusals(_ waiting: [WaitingJob]) -> [JobID: Refusal] {
      let node = NodeSnapshot.test(1, disk: .gibibytes(2), holding: [DatasetVersionID(9)], evictable: [old])
      return plan(
        ClusterSnapshot(nodes: [node], leases: [.test(1, nodes: [1])], waiting: waiting), at: noon
      ).refusals
    }
    #expect(
      refusals([.test(1, gpus: 1, needs: needs), .test(2, gpus: 1, needs: needs)])
        == [JobID(2): .nodesBusy(wanted: 1, free: 0)])
    // Neither takes from under another what that one reads.
    let reader = WaitingJob.test(1, gpus: 1, needs: StartNeeds(data: [DatasetVersionID(9): .gibibytes(6)]))
    #expect(
      refusals([reader, .test(2, gpus: 1, needs: needs)]) == [JobID(2): .nodesBusy(wanted: 1, free: 0)])
    let late = WaitingJob.test(3, gpus: 1, needs: StartNeeds(data: [DatasetVersionID(9): .gibibytes(6)]))
    #expect(
      refusals([.test(2, gpus: 1, needs: needs), late]) == [JobID(3): .nodesBusy(wanted: 1, free: 0)])
    #expect(refusals([reader, late]).isEmpty)
  }

  @Test func doesNotPromiseTheSameDiskTwice() {
    let needs = StartNeeds(checkpointRoom: .gibibytes(6))
    let world = ClusterSnapshot(
      nodes: [.test(1, disk: .gibibytes(10))], leases: [.test(1, nodes: [1])],
      waiting: [.test(1, gpus: 1, needs: needs), .test(2, gpus: 1, needs: needs)])
    let result = plan(world, at: noon)
    #expect(result.starts.map(\.job) == [JobID(1)])
    #expect(result.refusals == [JobID(2): .nodesBusy(wanted: 1, free: 0)])
  }

  @Test func prefersNodesThatHoldTheData() {
    var needs = StartNeeds()
    needs.data = [imageNet: .gibibytes(10)]
    let nodes: [NodeSnapshot] = [.test(1), .test(2), .test(3, gpus: 8, holding: [imageNet])]
    #expect(planned(.test(1, needs: needs), on: nodes).start?.placement.nodes == [NodeID(3)])
  }

  @Test func prefersTheTightestFitThenTheLowestNumber() {
    let nodes: [NodeSnapshot] = [.test(1, gpus: 8), .test(2), .test(3), .test(4, gpus: 1)]
    #expect(planned(.test(1, gpus: 2), on: nodes).start?.placement.nodes == [NodeID(2)])
    let other = LiveAttempt.test(9, holding: [3: [3]])
    #expect(planned(.test(1, gpus: 2), on: nodes, beside: [other]).start?.placement.nodes == [NodeID(3)])
  }

  @Test func ratherWaitsForABusyNodeThanStageOneTooLate() {
    var needs = StartNeeds(stagingRate: 1_000_000)
    needs.data = [imageNet: ByteCount(20_000_000_000)]
    let nodes: [NodeSnapshot] = [.test(1), .test(2, holding: [imageNet])]
    let other = LiveAttempt.test(9, holding: [2: [0]])
    #expect(planned(.test(1, needs: needs), on: nodes, beside: [other]).refusal == .nodesBusy(wanted: 1, free: 0))
  }

  @Test func leavesOutANodeThatCannotBeStagedInTime() {
    var needs = StartNeeds(stagingRate: 1_000_000, launch: .seconds(5), lastSave: .seconds(15))
    needs.data = [imageNet: ByteCount(20_000_000_000)]
    let nodes: [NodeSnapshot] = [.test(1), .test(2, holding: [imageNet])]
    #expect(planned(.test(1, needs: needs), on: nodes).start?.placement.nodes == [NodeID(2)])
    guard
      case .leaseTooShort(_, let needed, let remaining) = planned(.test(1, nodes: 2, needs: needs), on: nodes).refusal
    else {
      Issue.record("the slowest node of the gang counts")
      return
    }
    #expect(needed == .seconds(20_020))
    #expect(remaining == .hours(2))
  }
}
