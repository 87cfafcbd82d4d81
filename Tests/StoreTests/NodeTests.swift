import Domain
import Postgres
import Store
import Testing

@Suite(.timeLimit(.minutes(5))) struct NodeTests {
  @Test func aProbeMakesANodeAliveAndReplacesWhatItFoundBefore() async throws {
    try await StoreFixture.with { f in
      let added = try await f.store.addNode(.test("n1"), by: f.actor)
      #expect(added.state == .absent)
      #expect(added.request == .test("n1"))
      _ = try await f.store.updateNode(added.id, facts: .test(gpus: 4), by: f.epoch)
      _ = try await f.store.updateNode(added.id, facts: .test(gpus: 2), by: f.epoch)
      let node = try await f.store.node(added.id)
      #expect(node.state == .alive)
      #expect(node.facts == .test(gpus: 2))
      #expect(node.lastSeenAt != nil)
      #expect(try await f.store.nodes() == [node])
      #expect(try await f.store.node(named: "n1") == node.id)
      #expect(try await f.store.updateNode(NodeID(999), facts: .test(gpus: 1), by: f.epoch) == .stale)
    }
  }

  @Test func movesOnlyWhereTheStateCanGo() async throws {
    try await StoreFixture.with { f in
      let node = try await f.node("n1")
      #expect(try await f.store.setNodeState(node, to: .dead, by: f.epoch) == .stale)
      #expect(try await f.store.setNodeState(node, to: .suspect, by: f.epoch) == .done(node))
      #expect(try await f.store.setNodeState(node, to: .suspect, by: f.epoch) == .stale)
      #expect(try await f.store.setNodeState(node, to: .dead, by: f.epoch) == .done(node))
      #expect(try await f.store.node(node).state == .dead)
    }
  }

  @Test func believesWhoFoundADiskFullUntilTheNextProbe() async throws {
    try await StoreFixture.with { f in
      let node = try await f.node("n1")
      #expect(try await f.store.setDiskFree(node, .gibibytes(3), by: f.epoch) == .done(node))
      #expect(try await f.store.snapshot().snapshot.nodes.first?.diskFree == .gibibytes(1))
      _ = try await f.store.updateNode(node, facts: .test(gpus: 2), by: f.epoch)
      #expect(try await f.store.node(node).facts.diskFree == .gibibytes(50))
      #expect(try await f.store.setDiskFree(NodeID(999), .zero, by: f.epoch) == .stale)
    }
  }

  @Test func drainsOnceAndSaysWhy() async throws {
    try await StoreFixture.with { f in
      let node = try await f.node("n1")
      #expect(try await f.store.drainNode(node, reason: "fan", by: f.actor) == .done(node))
      #expect(try await f.store.drainNode(node, reason: "again", by: f.actor) == .stale)
      #expect(try await f.store.node(node).drainReason == "fan")
      #expect(try await f.store.undrainNode(node, by: f.actor) == .done(node))
      #expect(try await f.store.undrainNode(node, by: f.actor) == .stale)
    }
  }

  @Test func keepsANodeThatHasAHistory() async throws {
    try await StoreFixture.with { f in
      let used = try await f.node("n1")
      let unused = try await f.node("n2")
      let lease = try await f.lease("exp", [used])
      _ = try await f.store.deleteLease(lease.id, by: f.actor)
      await #expect(throws: StoreError.nodeInUse(node: used)) { try await f.store.removeNode(used, by: f.actor) }
      try await f.store.removeNode(unused, by: f.actor)
      await #expect(throws: StoreError.notFound(kind: "node", name: "\(unused)")) {
        try await f.store.removeNode(unused, by: f.actor)
      }
    }
  }

  @Test func refusesANameThatIsInUse() async throws {
    try await StoreFixture.with { f in
      _ = try await f.node("n1")
      await #expect(throws: StoreError.nameTaken(kind: "node", name: "n1")) {
        try await f.store.addNode(.test("n1"), by: f.actor)
      }
    }
  }
}
