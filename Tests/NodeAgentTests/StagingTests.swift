import Domain
import Foundation
import Glibc
import ObjectStorage
import Testing
import Wire

@Suite(.timeLimit(.minutes(2)))
struct StagingTests {
  /// Starts the order and waits for what becomes of its staging.
  private func stage(_ order: AttemptOrder, on node: TestNode) async throws -> (NodeOutcome?, Follower) {
    try #expect(await node.start(order) == .ok)
    let follower = try Follower(node, order.attempt)
    let event = try await follower.event {
      switch $0 {
      case .staged, .ended: true
      default: false
      }
    }
    if case .ended(let outcome) = event { return (outcome, follower) }
    return (nil, follower)
  }

  @Test func publishesAReplicaAndUsesItAgain() async throws {
    try await AgentFixture.with { fixture in
      let dataset = try await fixture.dataset("mnist-5k", ["train/a": "1", "train/b": "22", "test": "333"])
      let script = "cat $BATON_DATA_DIR/train/b $BATON_DATA_MNIST_5K/test; touch $BATON_DATA_DIR/mine"
      var order = try fixture.order(script)
      order.datasets = [dataset]
      let node = fixture.node()
      let (outcome, _) = try await fixture.run(order, on: node)
      #expect(outcome.exits.first?.code == 0)
      try #expect(fixture.text(node.folder() + "/logs/rank-0.log") == "22333")
      #expect(try await node.probe().replicas == [dataset.contentID])

      // The store loses everything: the second attempt needs nothing of it.
      for entry in try await fixture.store.list(prefix: "", after: nil, limit: 100).entries {
        try await fixture.store.delete(entry.key)
      }
      order.attempt = AttemptID(8)
      order.number = 2
      let (second, _) = try await fixture.run(order, on: node)
      #expect(second.exits.first?.code == 0)
    }
  }

  @Test func linksSeveralDataSets() async throws {
    try await AgentFixture.with { fixture in
      var order = try fixture.order("cat $BATON_DATA_DIR/one/f $BATON_DATA_DIR/two/f")
      order.datasets = [try await fixture.dataset("one", ["f": "1"]), try await fixture.dataset("two", ["f": "2"])]
      let node = fixture.node()
      _ = try await fixture.run(order, on: node)
      try #expect(fixture.text(node.folder() + "/logs/rank-0.log") == "12")
    }
  }

  @Test func mendsAReplicaThatWasDamaged() async throws {
    try await AgentFixture.with { fixture in
      let dataset = try await fixture.dataset("d", ["a": "first", "b": "second"])
      var order = try fixture.order("cat $BATON_DATA_DIR/a $BATON_DATA_DIR/b")
      order.datasets = [dataset]
      let node = fixture.node()
      _ = try await fixture.run(order, on: node)
      let replica = "\(node.root)/datasets/\(dataset.contentID)"
      // Same size, and the marker that would have vouched for it is gone.
      try FileManager.default.removeItem(atPath: replica + ".json")
      try FileManager.default.removeItem(atPath: replica + "/a")
      try Data("FIRST".utf8).write(to: URL(fileURLWithPath: replica + "/a"))
      order.attempt = AttemptID(8)
      order.number = 2
      _ = try await fixture.run(order, on: node)
      try #expect(fixture.text(node.folder(order.attempt) + "/logs/rank-0.log") == "firstsecond")
    }
  }

  @Test func refusesACorruptObject() async throws {
    try await AgentFixture.with { fixture in
      var order = try fixture.order("exit 0")
      let dataset = try await fixture.dataset("d", ["a": "good", "b": "also good"])
      order.datasets = [dataset]
      let hash = try await fixture.store.head("scratch/id")
      #expect(hash != nil)
      let blobs = try await fixture.store.list(prefix: "blobs/", after: nil, limit: 1).entries
      let key = try #require(blobs.first?.key)
      try await fixture.store.put(key, from: .bytes(Array("evil".utf8)))
      let node = fixture.node()
      let (outcome, follower) = try await stage(order, on: node)
      #expect(outcome?.staging == .corrupt(key: key))
      #expect(follower.events.contains(.stagingFailed(.corrupt(key: key))))
      #expect(!fixture.isThere("\(node.root)/datasets/\(dataset.contentID)"))
    }
  }

  @Test func namesAMissingObject() async throws {
    try await AgentFixture.with { fixture in
      var order = try fixture.order("exit 0")
      order.datasets = [try await fixture.dataset("d", ["a": "good"])]
      let key = try #require(try await fixture.store.list(prefix: "blobs/", after: nil, limit: 1).entries.first?.key)
      try await fixture.store.delete(key)
      let (outcome, _) = try await stage(order, on: fixture.node())
      #expect(outcome?.staging == .missing(key: key))
    }
  }

  @Test func refusesBeforeDownloadingWhatHasNoRoom() async throws {
    try await AgentFixture.with { fixture in
      var order = try fixture.order("exit 0")
      order.datasets = [try await fixture.dataset("d", ["a": "good"])]
      order.reserve = .gibibytes(1 << 20)
      let node = fixture.node()
      let (outcome, _) = try await stage(order, on: node)
      guard case .diskTooSmall(let needed, let room) = outcome?.staging else {
        Issue.record("\(String(describing: outcome))")
        return
      }
      #expect(needed == .gibibytes(1 << 20) + ByteCount(4))
      #expect(room > .zero && room < needed)
      try #expect(FileManager.default.contentsOfDirectory(atPath: node.root + "/datasets").isEmpty)
    }
  }

  @Test func goesOnWithStagingAfterItsSupervisorWasKilled() async throws {
    try await AgentFixture.with { fixture in
      let dataset = try await fixture.dataset("d", ["a": "good", "b": "also good"])
      var order = try fixture.order("cat $BATON_DATA_DIR/a")
      order.datasets = [dataset]
      let node = fixture.node()
      // A lock that another process holds keeps the supervisor staging for as long as this test wants.
      _ = try await node.probe()
      let lock = open("\(node.root)/datasets/.lock-\(dataset.contentID)", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
      #expect(flock(lock, LOCK_EX) == 0)
      try #expect(await node.start(order) == .ok)
      let first = try Follower(node, order.attempt)
      let accepted = try await first.event { if case .accepted = $0 { true } else { false } }
      guard case .accepted(let pid, _) = accepted else { return }
      kill(pid, SIGKILL)
      try await first.drain()
      #expect(first.frames.last == .supervisorGone)
      close(lock)

      let follower = try await fixture.launch(order, on: node)
      #expect(try await follower.outcome().exits.first?.code == 0)
      let sequences: [Int64] = follower.frames.compactMap {
        if case .journal(let entry) = $0 { entry.sequence } else { nil }
      }
      #expect(sequences == Array(1...Int64(sequences.count)))
    }
  }
}
