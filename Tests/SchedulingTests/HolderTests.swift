import Domain
import Scheduling
import TestKit
import Testing

/// Which nodes hand out what others of their lease lack.
@Suite struct HolderTests {
  private let digits = DatasetVersionID(1)
  private let letters = DatasetVersionID(2)

  /// Lease 1 has nodes 1 to 6; `holding` says which hold what.
  private func world(
    _ holding: [Int64: Set<DatasetVersionID>], attempts: [LiveAttempt] = [],
    edit: (inout ClusterSnapshot) -> Void = { _ in }
  ) -> ClusterSnapshot {
    var world = ClusterSnapshot(
      nodes: (1...6).map { .test($0, holding: holding[$0] ?? []) }, leases: [.test(1, nodes: Array(1...6))],
      attempts: attempts)
    edit(&world)
    return world
  }

  private func chosen(
    _ world: ClusterSnapshot, of versions: Set<DatasetVersionID>? = nil, for takers: [Int64] = [1], most: Int = 3
  ) -> [Int64: Set<DatasetVersionID>] {
    let found = holders(
      of: versions ?? [digits], for: takers.map { NodeID($0) }, in: LeaseID(1), world, most: most)
    return Dictionary(uniqueKeysWithValues: found.map { ($0.key.rawValue, $0.value) })
  }

  @Test func asksTheNodesOfTheLeaseThatHoldIt() {
    #expect(chosen(world([3: [digits], 4: [letters]])) == [3: [digits]])
    #expect(chosen(world([4: [letters]])).isEmpty)
    #expect(chosen(world([3: [digits]]), of: []).isEmpty)
  }

  @Test func asksNobodyWhereNobodyLacksAnything() {
    let world = world([1: [digits], 2: [digits], 3: [digits]])
    #expect(chosen(world, for: [1, 2]).isEmpty)
  }

  @Test func asksANodeOfTheGangThatHoldsWhatAnotherLacks() {
    #expect(chosen(world([1: [digits], 3: [digits]]), for: [1, 2], most: 1) == [1: [digits]])
  }

  @Test func asksFewAndThoseFirstOnWhichNothingRuns() {
    let world = world(
      [2: [digits], 3: [digits], 4: [digits], 5: [digits], 6: [digits]],
      attempts: [.test(7, holding: [2: [0], 4: [0]])])
    #expect(chosen(world).keys.sorted() == [3, 5, 6])
    #expect(chosen(world, most: 4).keys.sorted() == [2, 3, 5, 6])
  }

  @Test func asksThoseAfterTheFirstTakerSoThatNotAllAskTheSame() {
    let world = world([1: [digits], 2: [digits], 4: [digits], 5: [digits]])
    #expect(chosen(world, for: [3], most: 2).keys.sorted() == [4, 5])
    #expect(chosen(world, for: [6], most: 2).keys.sorted() == [1, 2])
  }

  @Test func asksFirstWhoAddsMost() {
    let world = world([2: [digits], 3: [digits], 4: [digits, letters], 5: [letters]])
    #expect(chosen(world, of: [digits, letters], most: 1) == [4: [digits, letters]])
    // What nobody else was chosen for goes before a second one for the same.
    let apart = self.world([2: [digits], 3: [digits], 5: [letters]])
    #expect(chosen(apart, of: [digits, letters], most: 2) == [2: [digits], 5: [letters]])
  }

  @Test func asksNobodyThatDidNotAnswerOrIsDrainedOrInAnotherLease() {
    let world = world([2: [digits], 3: [digits], 4: [digits]]) { world in
      world.nodes[1].state = .suspect
      world.nodes[2].isDrained = true
      world.leases[0].nodes.removeAll { $0 == NodeID(4) }
      world.leases.append(.test(2, nodes: [4]))
    }
    #expect(chosen(world).isEmpty)
  }

  @Test(arguments: [LeaseState.pending, .ending, .terminated, .error])
  func asksNobodyInALeaseThatIsNotActive(state: LeaseState) {
    #expect(chosen(world([3: [digits]]) { $0.leases[0].state = state }).isEmpty)
  }
}
