import Domain
import Scheduling
import Testing

@testable import Daemon

@Suite struct AheadStagingsTests {
  private let now = ContinuousClock.now

  private func staging(_ job: Int64, on nodes: [Int64] = [1], lacks: Bool = true) -> StagingAhead {
    StagingAhead(
      key: .init(job: JobID(job), lease: LeaseID(1)), leaseEnd: Timestamp(microseconds: 0),
      nodes: Dictionary(uniqueKeysWithValues: nodes.map { (NodeID($0), lacks ? [DatasetVersionID(1)] : []) }),
      reserve: .zero)
  }

  @Test func beginsEachOnceAndNoMoreThanThereArePlaces() {
    let stagings = AheadStagings(most: 2)
    let wanted = [staging(1, lacks: false), staging(2), staging(3), staging(4)]
    #expect(stagings.want(wanted, at: now).map(\.staging.key.job) == [JobID(2), JobID(3)])
    #expect(stagings.want(wanted, at: now).isEmpty)
    stagings.end(staging(2).key)
    let next = [staging(2, lacks: false), staging(3), staging(4)]
    #expect(stagings.want(next, at: now).map(\.staging.key.job) == [JobID(4)])
    #expect(Set(stagings.underWay.map(\.key.job)) == [JobID(3), JobID(4)])
  }

  @Test(.timeLimit(.minutes(1))) func stopsWhatIsNotWantedAnyMoreOrNotThere() async {
    let stagings = AheadStagings()
    let begun = stagings.want([staging(1), staging(2, on: [2, 3]), staging(3, on: [4])], at: now)
    #expect(begun.count == 3)
    // The lease of the first is gone; of the second one node was taken; the third goes on, since its node lacks less.
    #expect(stagings.want([staging(2, on: [3]), staging(3, on: [4], lacks: false)], at: now).isEmpty)
    for stop in begun.prefix(2).map(\.stop) { await stop.sleep(atMost: .seconds(3600)) }
  }

  @Test func leavesWhatFailedAloneForAWhileAndSaysSoOnce() {
    let stagings = AheadStagings()
    _ = stagings.want([staging(1)], at: now)
    #expect(stagings.fail(staging(1).key, at: now, jitter: 0))
    #expect(stagings.want([staging(1)], at: now).isEmpty)
    #expect(stagings.nextTry(after: now) == now + .seconds(2))
    #expect(stagings.want([staging(1)], at: now + .seconds(2)).count == 1)
    #expect(!stagings.fail(staging(1).key, at: now + .seconds(2), jitter: 0))
    #expect(stagings.nextTry(after: now + .seconds(2)) == now + .seconds(6))
  }
}
