import Domain
import Foundation
import ObjectStorage
import Testing
import Wire

@testable import NodeAgent

/// Programs that save by their own rules, and know nothing of Baton.
@Suite(.timeLimit(.minutes(2)))
struct ProgramSaveTests {
  private func order(
    _ fixture: AgentFixture, _ script: String, _ path: String, _ pattern: String? = nil, lease: Double = 60,
    lead: Double = 1
  ) throws -> AttemptOrder {
    var order = try fixture.order(script, lease: lease, lead: lead)
    order.programSaves = try ProgramSaves(path: path, pattern: pattern)
    order.saveSignal = SaveSignal.none
    return order
  }

  private func stored(_ follower: Follower, step: Int) async throws {
    try await follower.event { if case .checkpointStored(let stored) = $0 { stored.step == step } else { false } }
  }

  private func content(_ fixture: AgentFixture, _ stored: StoredCheckpoint, _ path: String) async throws -> String {
    let manifest = try await verifyCheckpoint(fixture.store, prefix: stored.prefix).manifest
    let file = try #require(manifest.files.files.first { $0.path == path }, "\(manifest.files.entries)")
    var bytes: [UInt8] = []
    for chunk in file.chunks { bytes += try await fixture.store.bytes(chunk.key) }
    return String(decoding: bytes, as: UTF8.self)
  }

  @Test func storesWhatAProgramReplacesByARenameAndGoesOnFromIt() async throws {
    try await AgentFixture.with { fixture in
      let script = """
        mkdir out; echo "one" > out/new; mv out/new out/ckpt.pt
        """ + Script.wait
      let node = fixture.node()
      let first = try order(fixture, script, "out", "ckpt.pt")
      let follower = try await fixture.launch(first, on: node)
      try await stored(follower, step: 1)
      let refusal = try await node.control(first.attempt, .checkpoint)
      #expect(refusal == .refused("the program saves by itself, and cannot be asked to"))
      try #expect(await node.control(first.attempt, .stop(.leaseEnd)) == .ok)
      let outcome = try await follower.outcome()
      #expect(outcome.exits.first?.signal == SIGTERM, "a program without a handler dies, and is told to")
      #expect(outcome.exits.first?.wasTold == true && outcome.knowsNoCodes == true)
      let stored = try #require(follower.stored.last)
      #expect(try await content(fixture, stored, "ckpt.pt") == "one\n")

      var second = try order(fixture, "cat out/ckpt.pt; echo \"$@\"; echo two >> out/ckpt.pt", "out", "ckpt.pt")
      second.attempt = AttemptID(8)
      second.number = 2
      second.resume = ResumeOrder(
        step: stored.step, prefix: stored.prefix, manifestSHA256: stored.manifestSHA256, total: stored.bytes)
      second.resumeCommand = .adding(["--resume={checkpoint}", "$RANK", "{step}"])
      let (end, later) = try await fixture.run(second, on: node)
      #expect(end.exits.first?.code == 0)
      let folder = node.folder(second.attempt)
      try #expect(
        fixture.text(folder + "/logs/rank-0.log") == "one\n--resume=\(folder)/work/out/ckpt.pt 0 1\n")
      // What was put back is no new checkpoint; what the program made of it is.
      #expect(later.stored.map(\.step) == [2])
      #expect(try await content(fixture, try #require(later.stored.last), "ckpt.pt") == "one\ntwo\n")
      try #expect(fixture.text(folder + "/resume/step-1/ckpt.pt") == "one\n")
    }
  }

  @Test func aFileThatIsOverwrittenInPlaceIsStoredOnceItIsQuiet() async throws {
    try await AgentFixture.with { fixture in
      let script = """
        exec 5> snapshot.pt; echo half >&5; echo ready; read -r < go; echo whole >&5; exec 5>&-
        """ + Script.wait
      let node = fixture.node()
      let order = try order(fixture, "mkfifo go\n" + script, "snapshot.pt")
      let follower = try await fixture.launch(order, on: node)
      try await follower.event { if case .firstLine = $0 { true } else { false } }
      #expect(follower.stored.isEmpty)
      try Data("\n".utf8).write(to: URL(fileURLWithPath: node.folder() + "/work/go"))
      try await stored(follower, step: 1)
      try #expect(await node.control(order.attempt, .stop(.cancelled)) == .ok)
      _ = try await follower.outcome()
      #expect(try await content(fixture, try #require(follower.stored.last), "snapshot.pt") == "half\nwhole\n")
    }
  }

  @Test func aFolderThatIsOverwrittenInPlaceIsStoredEachTime() async throws {
    try await AgentFixture.with { fixture in
      let script = """
        mkfifo go; mkdir -p backup/part; echo one > backup/part/w; read -r < go; echo two > backup/part/w
        """ + Script.wait
      let node = fixture.node()
      let order = try order(fixture, script, "backup/")
      let follower = try await fixture.launch(order, on: node)
      try await stored(follower, step: 1)
      try Data("\n".utf8).write(to: URL(fileURLWithPath: node.folder() + "/work/go"))
      try await stored(follower, step: 2)
      try #expect(await node.control(order.attempt, .stop(.cancelled)) == .ok)
      _ = try await follower.outcome()
      #expect(try await content(fixture, try #require(follower.stored.first), "backup/part/w") == "one\n")
      #expect(try await content(fixture, try #require(follower.stored.last), "backup/part/w") == "two\n")
    }
  }

  @Test func foldersAndFilesThatTellTheirStepsKeepThem() async throws {
    try await AgentFixture.with { fixture in
      let script = """
        for n in {100..800..100}; do mkdir -p o/tmp-$n/sub; echo $n > o/tmp-$n/sub/w; mv o/tmp-$n o/checkpoint-$n; done
        mkdir o/checkpoint-last; echo file > o/checkpoint-900
        """
      let node = fixture.node()
      let (_, follower) = try await fixture.run(try order(fixture, script, "o", "checkpoint-{step}/"), on: node)
      // One may take the other's place; the newest comes last, and is stored in any case.
      let found = follower.events.compactMap { if case .checkpointLocal(let step, _) = $0 { step } else { nil } }
      #expect(found == found.sorted() && found.last == 800)
      let last = try #require(follower.stored.last)
      #expect(last.step == 800)
      #expect(try await content(fixture, last, "checkpoint-800/sub/w") == "800\n")
    }
  }

  @Test func whatIsWrittenWhenTheLeaseEndsIsWaitedForAndStored() async throws {
    try await AgentFixture.with { fixture in
      // As it would be after a save that began a moment before: written, closed, and not yet quiet.
      let script = """
        mkdir out; echo old > out/a; mv out/a out/ckpt.pt
        trap 'exec 5>&-' USR1
        exec 5> out/ckpt.pt; echo new >&5; echo ready
        """ + Script.waitForSignals
      let node = fixture.node()
      var order = try order(fixture, script, "out", "ckpt.pt")
      order.saveSignal = .usr1
      let follower = try await fixture.launch(order, on: node)
      try await follower.event { if case .firstLine = $0 { true } else { false } }
      try #expect(await node.control(order.attempt, .stop(.leaseEnd)) == .ok)
      // The file is open, so nobody is told to leave yet.
      try #expect(await node.control(order.attempt, .checkpoint) == .ok)
      let outcome = try await follower.outcome()
      #expect(outcome.stopped == .leaseEnd)
      #expect(outcome.exits.first?.signal == SIGTERM)
      #expect(try await content(fixture, try #require(follower.stored.last), "ckpt.pt") == "new\n")
    }
  }

  @Test func whatIsHalfWrittenWhenTheProgramDiesIsNotStored() async throws {
    try await AgentFixture.with { fixture in
      let script = """
        echo whole > a; mv a snapshot.pt; read -r < go
        exec 5> snapshot.pt; echo half >&5; kill -9 $$
        """
      let node = fixture.node()
      let order = try order(fixture, "mkfifo go\n" + script, "snapshot.pt")
      let follower = try await fixture.launch(order, on: node)
      try await stored(follower, step: 1)
      try Data("\n".utf8).write(to: URL(fileURLWithPath: node.folder() + "/work/go"))
      _ = try await follower.outcome()
      #expect(follower.stored.map(\.step) == [1])
      #expect(try await content(fixture, try #require(follower.stored.last), "snapshot.pt") == "whole\n")
    }
  }
}
