import Domain
import Foundation
import Glibc
import ObjectStorage
import Testing
import Wire

@testable import NodeAgent

@Suite struct RemainsTests {
  @Test func knowsWhatCameToNoEnd() {
    let checkpoint = StoredCheckpoint(
      step: 3, prefix: "", manifestSHA256: "", bytes: .zero, saveTook: nil, uploadTook: .zero, isFinal: false)
    let history: [AgentEvent] =
      [.launched(pids: [1])] + (1...6).map { .checkpointLocal(step: $0, bytes: .zero) }
      + [.checkpointStored(checkpoint), .checkpointRejected(step: 5, reason: "changed")]
    let remains = Remains(of: history, ranks: [2, 3])
    #expect(remains.steps == [4, 6])
    #expect(remains.outcome.lost != nil)
  }

  @Test func whereAllRanksHadEndedNothingOfThemIsLost() {
    let remains = Remains(
      of: [
        .stopping(.leaseEnd), .rankEnded(rank: 1, code: 85, signal: nil), .rankEnded(rank: 0, code: 0, signal: nil),
      ],
      ranks: [0, 1])
    #expect(
      remains.outcome
        == NodeOutcome(
          stopped: .leaseEnd, staging: nil, launchError: nil,
          exits: [
            .init(rank: 0, code: 0, signal: nil, wasTold: true), .init(rank: 1, code: 85, signal: nil, wasTold: true),
          ]))
    // The rank that failed is the cause, and nobody stopped the node from outside.
    let failed = Remains(of: [.rankEnded(rank: 0, code: 1, signal: nil), .stopping(.gangFailed)], ranks: [0])
    #expect(failed.outcome.stopped == nil)
  }
}

@Suite(.timeLimit(.minutes(2)))
struct RescueTests {
  /// An object store that is not there yet.
  private func absent(_ fixture: AgentFixture) -> (path: String, appear: () throws -> Void) {
    let path = fixture.scratch + "/late-store"
    return (path, { try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: fixture.store.root) })
  }

  private func kill(supervisorIn follower: Follower) async throws {
    guard case .accepted(let supervisor, _) = follower.events.first else {
      throw FollowEnded(frames: follower.frames)
    }
    Glibc.kill(supervisor, SIGKILL)
    try await follower.drain()
    #expect(follower.frames.last == .supervisorGone)
  }

  @Test func storesWhatADeadSupervisorLeft() async throws {
    try await AgentFixture.with { fixture in
      let node = fixture.node()
      let late = absent(fixture)
      var order = try fixture.order(
        Script.save + "echo '{\"step\":1}' >> $BATON_METRICS; save 1; save 2; trap 'exit 0' TERM" + Script.wait)
      order.store = .folder(path: late.path)
      let follower = try await fixture.launch(order, on: node)
      try await follower.event { if case .checkpointLocal(2, _) = $0 { true } else { false } }
      try await kill(supervisorIn: follower)
      try late.appear()

      try #expect(await node.rescue(order.attempt) == .ok)
      let after = try Follower(node, order.attempt)
      let outcome = try await after.outcome()
      #expect(outcome.lost?.contains("supervisor") == true)
      #expect(after.stored.map(\.step) == [2])
      #expect(after.events.count { if case .launched = $0 { true } else { false } } == 1)
      _ = try await verifyCheckpoint(fixture.store, prefix: "runs/3/checkpoints/0000000002-e1/")
      let record = ObjectLayout.attemptRecord(run: RunID(3), number: 1, nodeRank: 0)
      #expect(try await fixture.store.head(ObjectLayout.metrics(record: record)) != nil)
      // It is over, and asking again changes nothing.
      try #expect(await node.rescue(order.attempt) == .ok)
    }
  }

  @Test func isTriedOnceAndOnlyWhereRanksWereStarted() async throws {
    try await AgentFixture.with { fixture in
      let node = fixture.node()
      let late = absent(fixture)
      var order = try fixture.order(Script.save + "save 1; trap 'exit 0' TERM" + Script.wait)
      order.store = .folder(path: late.path)
      guard case .refused = try await node.rescue(order.attempt) else {
        Issue.record("there is nothing to rescue")
        return
      }
      let follower = try await fixture.launch(order, on: node)
      try await follower.event { if case .checkpointLocal = $0 { true } else { false } }
      try await kill(supervisorIn: follower)
      try #expect(await node.rescue(order.attempt) == .ok)
      let second = try Follower(node, order.attempt, journal: Int64(follower.events.count))
      try await second.event { if case .accepted = $0 { true } else { false } }
      try await kill(supervisorIn: second)
      guard case .refused(let why) = try await node.rescue(order.attempt) else {
        Issue.record("it was tried before")
        return
      }
      #expect(why.contains("killed too"))
    }
  }

  @Test func aNodeFinishesThePartThatAnotherNodeHasStored() async throws {
    try await AgentFixture.with { fixture in
      let late = absent(fixture)
      let save = """
        save() { d=$BATON_CHECKPOINT_DIR/step-$1; mkdir -p $d/rank-$RANK.tmp; echo "shard $RANK" > $d/rank-$RANK.tmp/w
          mv -T $d/rank-$RANK.tmp $d/rank-$RANK; }

        """
      func order(_ rank: Int, _ script: String) throws -> AttemptOrder {
        var order = try fixture.order(save + script)
        order.nodeRank = rank
        order.nodeAddresses = ["10.0.0.1", "10.0.0.2"]
        return order
      }
      // One node has stored its part of step 1 and never came to step 2.
      _ = try await fixture.run(try order(1, "save 1; exit 85"), on: fixture.node("b"))
      // The other has both, and is still storing the first when its ranks end.
      var other = try order(0, "save 1; save 2; exit 85")
      other.store = .folder(path: late.path)
      let follower = try await fixture.launch(other, on: fixture.node("a"))
      try await follower.event { if case .rankEnded = $0 { true } else { false } }
      try late.appear()
      _ = try await follower.outcome()
      #expect(follower.stored.map(\.step) == [1])
      _ = try await verifyCheckpoint(fixture.store, prefix: "runs/3/checkpoints/0000000001-e1/")
    }
  }
}

extension TestNode {
  /// Asks for what a dead supervisor left.
  func rescue(_ attempt: AttemptID) async throws -> AgentReply {
    let request = try JSONEncoder().encode(RescueRequest(controllerEpoch: 1, leaseRemaining: .seconds(60)))
    let result = try await AgentProcess.run(
      ["rescue", "--root", root, "--attempt", "\(attempt.rawValue)"], input: request)
    try #require(result.code == 0, "\(result.errors)")
    return try JSONDecoder().decode(AgentReply.self, from: result.output)
  }
}
