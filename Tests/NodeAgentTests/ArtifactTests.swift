import Domain
import Foundation
import ObjectStorage
import Testing
import Wire

@testable import NodeAgent

@Suite(.timeLimit(.minutes(2)))
struct ArtifactTests {
  private func missing(_ follower: Follower) -> [String] {
    follower.events.compactMap { if case .artifactsMissing(let reason) = $0 { reason } else { nil } }
  }

  @Test func areKeptOnceTheRanksAreGone() async throws {
    try await AgentFixture.with { fixture in
      let script = """
        cd "$BATON_ARTIFACTS_DIR"; mkdir -p plots/late; echo large enough > plots/late/loss.txt; echo a > b
        echo half > model.tmp; exit 4
        """
      let (outcome, follower) = try await fixture.run(try fixture.order(script), on: fixture.node())
      #expect(outcome.exits.map(\.code) == [4])
      #expect(missing(follower).isEmpty)
      let record = ObjectLayout.attemptRecord(run: RunID(3), number: 1, nodeRank: 0)
      let kept = try await fixture.store.list(prefix: record + "artifacts/", after: nil, limit: 10).entries
      #expect(kept.compactMap { ObjectLayout.parseArtifact($0.key)?.path } == ["b", "plots/late/loss.txt"])
      #expect(kept.last?.size == Int64("large enough\n".utf8.count))
    }
  }

  @Test func saysWhatIsNotKept() async throws {
    try await AgentFixture.with { fixture in
      let (_, follower) = try await fixture.run(
        try fixture.order("ln -s /etc/passwd $BATON_ARTIFACTS_DIR/link; echo a > $BATON_ARTIFACTS_DIR/b"),
        on: fixture.node())
      #expect(missing(follower) == ["1 of 2 artifacts not kept; link: it is neither a file nor a folder"])
    }
  }

  @Test func aLeaseThatEndsBeforeTheyAreInTheStoreSaysSo() async throws {
    try await AgentFixture.with { fixture in
      let node = fixture.node()
      var order = try fixture.order("echo a > $BATON_ARTIFACTS_DIR/b; echo ready" + Script.waitForSignals)
      order.store = .folder(path: fixture.scratch + "/no-store-yet")
      let follower = try await fixture.launch(order, on: node)
      try await follower.event { if case .firstLine = $0 { true } else { false } }
      let soon = ControlCommand.deadline(leaseRemaining: .seconds(2), leaseEnd: order.leaseEnd, store: nil)
      try #expect(await node.control(order.attempt, soon) == .ok)
      _ = try await follower.outcome()
      #expect(missing(follower) == ["the lease ended before all artifacts were in the store"])
    }
  }

  @Test func theSmallestGoFirst() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("baton-artifacts-\(UUID().uuidString)")
    defer { #expect(throws: Never.self) { try FileManager.default.removeItem(at: folder) } }
    try FileManager.default.createDirectory(at: folder.appendingPathComponent("a"), withIntermediateDirectories: true)
    for (name, size) in [("z", 3), ("a/y", 2), ("x", 3)] {
      try Data(count: size).write(to: folder.appendingPathComponent(name))
    }
    let found = try ArtifactUpload.find(in: folder.path)
    #expect(found.files.map(\.path) == ["a/y", "x", "z"])
    #expect(found.others.isEmpty)
  }

  @Test func keysTellWhoseTheyAre() throws {
    let record = ObjectLayout.attemptRecord(run: RunID(3), number: 2, nodeRank: 1)
    let found = try #require(ObjectLayout.parseArtifact(ObjectLayout.artifact(record: record, path: "a/b.png")))
    #expect(found.run == RunID(3) && found.number == 2 && found.nodeRank == 1 && found.path == "a/b.png")
    for other in [ObjectLayout.journal(record: record), record + "artifacts/", record + "artifact/x", "runs/x/y"] {
      #expect(ObjectLayout.parseArtifact(other) == nil)
    }
  }
}
