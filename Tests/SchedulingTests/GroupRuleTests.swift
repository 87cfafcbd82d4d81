import Domain
import Scheduling
import TestKit
import Testing

/// Groups of which only so many jobs may hold nodes.
@Suite struct GroupRuleTests {
  private static let group = JobGroupID(7)

  /// Five free nodes, and `count` members of a group of which `running` hold nodes elsewhere.
  private func world(_ count: Int, atMost: Int, running: Int, _ others: [WaitingJob] = []) -> ClusterSnapshot {
    let members = (1...count).map { number in
      var job = WaitingJob.test(Int64(number))
      job.group = Self.group
      return job
    }
    return ClusterSnapshot(
      nodes: (1...5).map { .test($0) }, leases: [.test(1, nodes: [1, 2, 3, 4, 5])], waiting: members + others,
      groups: [GroupSnapshot(id: Self.group, atMost: atMost, running: running)])
  }

  @Test func startsNoMoreThanTheGroupMayHave() {
    let world = world(4, atMost: 3, running: 1)
    let result = plan(world, at: noon)
    #expect(result.starts.map(\.job) == [JobID(1), JobID(2)])
    let full = Refusal.groupFull(group: Self.group, most: 3)
    #expect(result.refusals == [JobID(3): full, JobID(4): full])
    #expect(explain(JobID(3), in: world, at: noon)?.refusal == full)
    #expect(full.reason == "GroupLimit" && "\(full)".contains("3 jobs of group-7"))
  }

  @Test func aFullGroupKeepsNobodyFromANode() {
    var busy = world(2, atMost: 1, running: 1, [.test(9)])
    busy.nodes = [.test(1)]
    busy.leases = [.test(1, nodes: [1])]
    #expect(plan(busy, at: noon).starts.map(\.job) == [JobID(9)])
  }

  @Test func aGroupWithoutALimitIsLikeSingleJobs() {
    var free = world(4, atMost: 1, running: 1)
    free.groups = []
    #expect(plan(free, at: noon).starts.count == 4)
  }
}
