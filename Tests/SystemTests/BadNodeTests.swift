import APIClient
import Domain
import Foundation
import Lab
import Testing
import Wire

/// Nodes that lie, refuse, hang and die.
@Suite struct BadNodeTests {
  @Test func tellsBothFingerprintsOfAHostKeyThatChanged() async throws {
    try await SystemFixture.with { s in
      try await s.lease()
      let node = try s.lab.node("n1")
      let pinned = try await s.client.node("n1").hostKeyFingerprint
      // A machine that was replaced: its sessions are gone, and it has another key.
      try await node.crash()
      try await node.changeHostKey()
      let shown = try await Self.fingerprint(of: node.description.hostPublicKey, s)
      let failed = try #require(try await s.client.checkNode("n1").steps.first { !$0.passed })
      #expect(failed.detail.contains(pinned) && failed.detail.contains(shown), "\(failed)")
      // It is not used.
      let job = try await s.count("--steps 1").id
      try await s.wait(job, until: "kept from the node") { $0.reason == "NodesUnavailable" }
      #expect(try s.programs.all().isEmpty)
    }
  }

  @Test func waitsForANodeThatRefusesSSH() async throws {
    try await SystemFixture.with { s in
      try await Self.waits(s) { try await $0.refuseSSH() }
    }
  }

  @Test func waitsForANodeThatHangsInTheHandshake() async throws {
    try await SystemFixture.with { s in
      try await Self.waits(s) { try await $0.hangSSH() }
    }
  }

  @Test func goesElsewhereWhenANodeDiesDuringStaging() async throws {
    try await SystemFixture.with(nodes: 2) { s in
      let data = try await s.dataset("data", .mebibytes(1))
      try await s.lease()
      let blocks = try s.lab.nodes.map { try StagingBlock(data, on: $0) }
      let job = try await s.count("--steps 3", "data: [data]").id
      let first = try await s.wait(job, .staging)
      let doomed = try #require(first.attempt?.nodes.first?.name)
      try await s.supervised(on: s.lab.node(doomed))
      try await s.lab.node(doomed).crash()
      for block in blocks { block.release() }
      let end = try await s.wait(job, .completed)
      #expect(end.attempt?.nodes.map(\.name) != [doomed])
      let attempts = try await s.client.run("\(job)").attempts
      #expect(attempts.map(\.outcome) == [.stagingFailed, .completed])
      #expect(attempts.first?.detail?.contains("node \(doomed) could not be reached") == true, "\(attempts)")
      try await s.lab.node(doomed).boot()
    }
  }

  @Test func waitsForTheOnlyNodeThatDiedDuringStaging() async throws {
    try await SystemFixture.with { s in
      let data = try await s.dataset("data", .mebibytes(1))
      try await s.lease()
      let node = try s.lab.node("n1")
      let block = try StagingBlock(data, on: node)
      let job = try await s.count("--steps 3", "data: [data]").id
      try await s.wait(job, .staging)
      try await s.supervised(on: node)
      try await node.crash()
      block.release()
      try await s.wait(job, until: "told why it waits") { $0.state == .pending && $0.reason == "NodesUnavailable" }
      try await node.boot()
      try await s.wait(job, .completed)
      try await s.expectOneCurve(job, steps: 3)
    }
  }

  @Test func callsAnAttemptLostWhoseNodeDiedAndGoesOnFromItsLastCheckpoint() async throws {
    try await SystemFixture.with { s in
      try await s.lease()
      let node = try s.lab.node("n1")
      let job = try await s.count("--steps 60 --save-at 10").id
      try await s.wait(job, until: "safe at step 10") { $0.checkpointStep == 10 }
      try await s.reached(step: 15)
      try await node.crash()
      try await node.boot()
      let end = try await s.wait(job, .completed)
      #expect(end.attempt?.resumedFromStep == 10)
      #expect(try await s.client.run("\(job)").attempts.first?.outcome == .lost)
      try await s.expectOneCurve(job, steps: 60)
    }
  }

  @Test func goesOnWhenItsNodeIsInstalledAnewInTheMiddleOfALease() async throws {
    try await SystemFixture.with { s in
      try await s.lease()
      let job = try await s.count("--steps 60 --save-at 10").id
      try await s.wait(job, until: "safe at step 10") { $0.checkpointStep == 10 }
      try await s.reached(step: 15)
      try await s.lab.node("n1").revoke()
      let end = try await s.wait(job, .completed)
      #expect(end.attempt?.resumedFromStep == 10)
      #expect(try await s.client.run("\(job)").attempts.first?.outcome == .lost)
      try await s.expectOneCurve(job, steps: 60)
    }
  }

  /// A job is sent to a node that cannot be reached; it waits, with the reason, and runs when the node is mended.
  private static func waits(_ s: SystemFixture, _ fault: (LabNode) async throws -> Void) async throws {
    let node = try s.lab.node("n1")
    try await s.lease()
    // A controller that starts anew has no session with the node.
    try await s.lab.controller.kill()
    try await fault(node)
    try await s.lab.controller.start(migrating: false)
    let job = try await s.count("--steps 3").id
    let view = try await s.wait(job, until: "told why it waits") {
      $0.state == .pending && $0.reason == "NodesUnavailable"
    }
    #expect(view.reasonDetail?.isEmpty == false)
    #expect(try s.programs.all().isEmpty)
    try await node.boot()
    try await s.wait(job, .completed)
    try await s.expectOneCurve(job, steps: 3)
  }

  private static func fingerprint(of key: String, _ s: SystemFixture) async throws -> String {
    let path = "\(s.folder)/host-key"
    try Data((key + "\n").utf8).write(to: URL(fileURLWithPath: path))
    let words = try await SystemFixture.run("/usr/bin/ssh-keygen", ["-l", "-f", path]).output.split(separator: " ")
    return String(try #require(words.first { $0.hasPrefix("SHA256:") }))
  }
}
