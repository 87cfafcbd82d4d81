import Domain
import Foundation
import ObjectStorage
import Testing
import Wire

@testable import NodeAgent

@Suite(.timeLimit(.minutes(2)))
struct CheckpointTests {
  @Test func storesWhatWasRenamedAndKeepsTwo() async throws {
    try await AgentFixture.with { fixture in
      let script = Script.save + "n=0; trap 'n=$((n+1)); save $n; [ $n = 4 ] && exit 0' USR1" + Script.wait
      let node = fixture.node()
      let order = try fixture.order(script)
      let follower = try await fixture.launch(order, on: node)
      try await follower.event { if case .firstLine = $0 { true } else { false } }
      for step in 1...4 {
        try #expect(await node.control(order.attempt, .checkpoint) == .ok)
        try await follower.event { if case .checkpointStored(let stored) = $0 { stored.step == step } else { false } }
      }
      _ = try await follower.outcome()
      let last = try #require(follower.stored.last)
      #expect(last.saveTook != nil)
      #expect(last.prefix == "runs/3/checkpoints/0000000004-e1/")
      let verified = try await verifyCheckpoint(fixture.store, prefix: last.prefix)
      #expect(verified.manifestSHA256 == last.manifestSHA256)
      #expect(verified.manifest.files.entries.map(\.path) == ["w"])
      let kept = try FileManager.default.contentsOfDirectory(atPath: node.folder() + "/checkpoints").sorted()
      #expect(kept == ["step-3", "step-4"])
    }
  }

  @Test func neverStoresWhatWasNotRenamed() async throws {
    try await AgentFixture.with { fixture in
      let script = "mkdir -p $BATON_CHECKPOINT_DIR/step-5.tmp; echo half > $BATON_CHECKPOINT_DIR/step-5.tmp/w"
      let (_, follower) = try await fixture.run(try fixture.order(script), on: fixture.node())
      #expect(follower.stored.isEmpty)
      #expect(
        follower.rejected[5] == "the program ended before it was complete: step-5.tmp was never renamed")
      #expect(try await fixture.store.list(prefix: "runs/3/checkpoints/", after: nil, limit: 10).entries.isEmpty)
    }
  }

  @Test func saysThatTheProgramWasKilledWhileItSaved() async throws {
    try await AgentFixture.with { fixture in
      let script = "trap '' TERM; mkdir -p $BATON_CHECKPOINT_DIR/step-5.tmp; echo ready" + Script.wait
      let node = fixture.node()
      let order = try fixture.order(script, grace: 0.5)
      let follower = try await fixture.launch(order, on: node)
      try await follower.event { if case .firstLine = $0 { true } else { false } }
      try #expect(await node.control(order.attempt, .stop(.cancelled)) == .ok)
      _ = try await follower.outcome()
      #expect(follower.rejected[5] == "no time was left before it was complete: step-5.tmp was never renamed")
    }
  }

  @Test func namesAFullDiskBeforeWhatCameOfIt() {
    #expect(LocalCheckpoints.cause(free: .mebibytes(1), wasKilled: false) == "the disk was full (room for 1.00 MiB)")
    #expect(LocalCheckpoints.cause(free: .zero, wasKilled: true) == "the disk was full (room for 0 B)")
    #expect(LocalCheckpoints.cause(free: .mebibytes(4), wasKilled: false) == "the program ended")
    #expect(LocalCheckpoints.cause(free: nil, wasKilled: true) == "no time was left")
  }

  @Test func rejectsEmptyFoldersAndFilesThatChange() async throws {
    try await AgentFixture.with { fixture in
      let script = """
        cd $BATON_CHECKPOINT_DIR; mkdir step-1.tmp; mv step-1.tmp step-1
        mkdir step-2.tmp; head -c 30000000 /dev/zero > step-2.tmp/w
        ln step-2.tmp/w w2; ( while true; do echo more >> "$BATON_CHECKPOINT_DIR/w2"; done ) & mv step-2.tmp step-2
        """
      let node = fixture.node()
      let order = try fixture.order(script + "\ntrap 'exit 0' TERM" + Script.wait)
      let follower = try await fixture.launch(order, on: node)
      try await follower.event { if case .checkpointRejected(2, _) = $0 { true } else { false } }
      try #expect(await node.control(order.attempt, .stop(.cancelled)) == .ok)
      _ = try await follower.outcome()
      #expect(follower.rejected[1] == "the folder is empty")
      #expect(follower.rejected[2]?.contains("changed") == true)
      #expect(follower.stored.isEmpty)
    }
  }

  @Test func aShardedCheckpointExistsWhenEveryNodeHasStoredItsPart() async throws {
    try await AgentFixture.with { fixture in
      let script = """
        cd $BATON_CHECKPOINT_DIR; d=step-9/rank-$RANK
        mkdir -p step-9 $d.tmp; echo "shard $RANK" > $d.tmp/w
        [ $RANK -ge 2 ] && { trap 'mv -T step-9/rank-$RANK.tmp step-9/rank-$RANK; exit 0' USR1; echo ready
          \(Script.waitForSignals) }
        mv -T $d.tmp $d
        """
      let nodes = [fixture.node("a"), fixture.node("b")]
      var followers: [Follower] = []
      for (rank, node) in nodes.enumerated() {
        var order = try fixture.order(script, processes: 2)
        order.nodeRank = rank
        order.nodeAddresses = ["10.0.0.1", "10.0.0.2"]
        followers.append(try await fixture.launch(order, on: node))
      }
      _ = try await followers[0].outcome()
      #expect(followers[0].stored.isEmpty)
      let prefix = "runs/3/checkpoints/0000000009-e1/"
      #expect(try await fixture.store.head(prefix + "part-0.json") != nil)
      #expect(try await fixture.store.head(prefix + "manifest.json") == nil)

      for _ in 0..<2 { try await followers[1].event { if case .firstLine = $0 { true } else { false } } }
      try #expect(await nodes[1].control(AttemptID(7), .checkpoint) == .ok)
      _ = try await followers[1].outcome()
      #expect(followers[1].stored.map(\.step) == [9])
      let verified = try await verifyCheckpoint(fixture.store, prefix: prefix)
      #expect(verified.manifest.layout == .sharded)
      #expect(verified.manifest.files.entries.map(\.path) == (0..<4).map { "rank-\($0)/w" })
    }
  }

  @Test func savesBeforeTheLeaseEndsWithNobodyConnected() async throws {
    try await AgentFixture.with { fixture in
      let script =
        Script.save + "trap 'save 42; exit 85' TERM\necho '{\"step\":42,\"loss\":0.5}' >> $BATON_METRICS" + Script.wait
      let order = try fixture.order(script, lease: 600, lead: 30, grace: 10)
      let node = fixture.node()
      var follower: Follower? = try await fixture.launch(order, on: node)
      try await follower?.event { if case .firstLine = $0 { true } else { false } }
      let moved = ControlCommand.deadline(leaseRemaining: .seconds(31), leaseEnd: order.leaseEnd, store: nil)
      try #expect(await node.control(order.attempt, moved) == .ok)
      follower = nil
      // Nobody listens or asks; afterwards somebody comes back and reads.
      let late = try Follower(node, order.attempt)
      let outcome = try await late.outcome()
      #expect(outcome.stopped == .leaseEnd)
      #expect(outcome.exits == [.init(rank: 0, code: 85, signal: nil, wasTold: true)])
      #expect(late.stored.last?.isFinal == true)
      let record = ObjectLayout.attemptRecord(run: RunID(3), number: 1, nodeRank: 0)
      let metrics = try await fixture.store.bytes(ObjectLayout.metrics(record: record))
      #expect(String(decoding: metrics, as: UTF8.self) == "{\"step\":42,\"loss\":0.5}\n")
      #expect(try await fixture.store.head(ObjectLayout.journal(record: record)) != nil)
      #expect(try await fixture.store.head(ObjectLayout.log(record: record, rank: 0)) != nil)
      _ = try await verifyCheckpoint(fixture.store, prefix: "runs/3/checkpoints/0000000042-e1/")
    }
  }

  @Test func asksOnASchedule() async throws {
    try await AgentFixture.with { fixture in
      let script = Script.save + "n=0; trap 'n=$((n+1)); save $n' USR1; trap 'exit 0' TERM" + Script.wait
      let node = fixture.node()
      let order = try fixture.order(script, every: 0.4)
      let follower = try await fixture.launch(order, on: node)
      for _ in 0..<2 { try await follower.event { if case .checkpointStored = $0 { true } else { false } } }
      try #expect(await node.control(order.attempt, .stop(.cancelled)) == .ok)
      _ = try await follower.outcome()
    }
  }

  @Test func resumesFromAStoredCheckpoint() async throws {
    try await AgentFixture.with { fixture in
      let node = fixture.node()
      let (_, follower) = try await fixture.run(try fixture.order(Script.save + "save 12; exit 85"), on: node)
      let stored = try #require(follower.stored.last)
      var order = try fixture.order("cat $BATON_RESUME_FROM/w; basename $BATON_RESUME_FROM", attempt: 8, number: 2)
      order.resume = ResumeOrder(
        step: 12, prefix: stored.prefix, manifestSHA256: stored.manifestSHA256, total: stored.bytes)
      let (outcome, _) = try await fixture.run(order, on: node)
      #expect(outcome.exits.first?.code == 0)
      try #expect(fixture.text(node.folder(order.attempt) + "/logs/rank-0.log") == "weights 12\nstep-12\n")

      order.attempt = AttemptID(9)
      order.number = 3
      order.resume?.manifestSHA256 = String(repeating: "0", count: 64)
      try #expect(await node.start(order) == .ok)
      let refused = try await Follower(node, order.attempt).outcome()
      #expect(refused.staging == .corrupt(key: stored.prefix + "manifest.json"))
    }
  }
}
