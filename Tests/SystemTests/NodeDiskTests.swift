import APIClient
import Domain
import Foundation
import Lab
import TestKit
import Testing
import Wire

/// Nodes whose disks run full, and stall as SSDs do that are busy with themselves.
///
/// A stall is that of a file system that lets nobody write (`fsfreeze`). Disks that are merely slow would take
/// dm-delay, or a throttle that holds writes of the page cache, which kernels of testbeds and of tests often lack.
@Suite(.enabled(if: canBeMade, "disks that run full or stall need root and loop devices"))
struct NodeDiskTests {
  @Test func goesElsewhereWhenADiskRunsFullDuringStagingAndSaysSo() async throws {
    try await SystemFixture.with(nodes: 2, diskSize: .mebibytes(128)) { s in
      let (dataset, sum) = try await s.noise("noise", .mebibytes(16))
      try await s.lease()
      let blocks = try s.lab.nodes.map { try StagingBlock(dataset, on: $0) }
      let job = try await s.count("--steps 3 --check noise:\(sum)", "data: [\(dataset.name)]").id
      let full = try #require(try await s.wait(job, .staging).attempt?.nodes.first?.name)
      try await s.supervised(on: s.lab.node(full))
      try await s.lab.node(full).fillDisk(leaving: .mebibytes(4))
      for block in blocks { block.release() }
      let end = try await s.wait(job, .completed)
      #expect(end.attempt?.nodes.map(\.name) != [full])
      try await s.expectOneCurve(job, steps: 3)
      let first = try #require(try await s.client.run("\(job)").attempts.first)
      #expect(first.outcome == .stagingFailed && first.nodes.map(\.name) == [full])
      #expect(first.detail?.contains("its disk has room for") == true, "\(first.detail ?? "")")
      try s.lab.node(full).emptyDisk()
    }
  }

  @Test func goesOnFromTheCheckpointBeforeOneForWhichTheDiskHadNoRoom() async throws {
    try await SystemFixture.with(diskSize: .mebibytes(128)) { s in
      let node = try s.lab.node("n1")
      try await s.lease()
      let job = try await s.count("--steps 100 --save-at 10", "retry: {max_restarts: 1, on_exit_codes: [1]}").id
      try await s.wait(job, until: "safe at step 10") { $0.checkpointStep == 10 }
      let events = try await s.client.eventStream()
      try await node.fillDisk(leaving: .zero)
      _ = try await s.client.checkpoint("\(job)")
      // The next attempt would not find room either.
      try await s.waiting(for: "the end of the first attempt") {
        for try await event in events where event.action == "attempt.end" { break }
      }
      try node.emptyDisk()
      let end = try await s.wait(job, .completed)
      #expect(end.attempt?.resumedFromStep == 10)
      try await s.expectOneCurve(job, steps: 100)
      let attempts = try await s.client.run("\(job)").attempts
      #expect(attempts.first?.outcome == .failed, "\(attempts)")
      let detail = attempts.first?.detail ?? ""
      #expect(detail.hasPrefix("rank 0 ended with exit code 1; its checkpoint of step "), "\(attempts)")
      #expect(detail.hasSuffix(".tmp was never renamed"), "\(attempts)")
    }
  }

  @Test func stagesOntoADiskThatStallsAndFetchesNothingTwice() async throws {
    try await NodeStagingTests.with(disk: .device, times: ["reach_patience_seconds": 60]) { s, proxy in
      let node = try s.lab.node("n1")
      let size = 16 << 20
      let (dataset, sum) = try await s.noise("noise", .mebibytes(16))
      proxy.set(.hang(times: 1), on: ["GET"], naming: "/blobs/")
      try await s.lease()
      let job = try await s.count("--steps 3 --check noise:\(sum)", "data: [\(dataset.name)]").id
      try await s.partlyStaged(dataset, on: node)
      try await node.stallDisk()
      proxy.letGo()
      // The rest has left the store, and has nowhere to go.
      while proxy.served < size { try await TestTime.beforeAskingAgain() }
      try await s.waitsForItsDisk(node)
      try await node.resumeDisk()
      try await s.wait(job, .completed)
      try await s.expectOneCurve(job, steps: 3)
      #expect(proxy.served == size)
      #expect(try await s.client.run("\(job)").attempts.map(\.outcome) == [.completed])
    }
  }

  @Test func savesOnceADiskThatStalledGoesOn() async throws {
    try await SystemFixture.with(disk: .device) { s in
      let node = try s.lab.node("n1")
      try await s.lease()
      let job = try await s.count("--steps 150 --save-at 10").id
      try await s.wait(job, until: "safe at step 10") { $0.checkpointStep == 10 }
      try await node.stallDisk()
      try await s.waitsForItsDisk(node)
      _ = try await s.client.checkpoint("\(job)")
      let events = try s.programs.all().count
      try await node.resumeDisk()
      try await s.wait(job, until: "safe at a later step") { $0.checkpointStep ?? 0 > 10 }
      #expect(try s.programs.all().count > events)
      try await s.wait(job, .completed)
      try await s.expectOneCurve(job, steps: 150)
      #expect(try await s.client.run("\(job)").attempts.map(\.outcome) == [.completed])
    }
  }

  @Test func endsWithItsLeaseThoughItsDiskStallsAndGoesOnFromTheCheckpointBefore() async throws {
    try await SystemFixture.with(nodes: 2, disk: .device) { s in
      let node = try s.lab.node("n1")
      try await s.lease("first", nodes: ["n1"], seconds: 14)
      try await s.lease("second", nodes: ["n2"], seconds: 90, startIn: 14)
      let job = try await s.count("--steps 200 --save-at 10").id
      try await s.wait(job, until: "safe at step 10") { $0.checkpointStep == 10 }
      try await s.reached(step: 15)
      try await node.stallDisk()
      let end = try await s.wait(job, .completed)
      #expect(end.attempt?.resumedFromStep == 10)
      try await s.expectOneCurve(job, steps: 200)
      let first = try #require(try await s.client.run("\(job)").attempts.first)
      #expect(first.outcome == .leaseEnded)
      #expect(try #require(first.endedAt) <= first.leaseEnd)
      try await s.wiped("n1")
    }
  }
}

/// Whether this machine can make such disks.
private let canBeMade = getuid() == 0 && access("/dev/loop-control", F_OK) == 0

extension SystemFixture {
  /// Waits until a process of the node waits for its disk, which no process tells.
  fileprivate func waitsForItsDisk(_ node: LabNode) async throws {
    try await waiting(for: "somebody who waits for the disk of \(node.name)") {
      while try !node.processes().contains(where: Self.isStuck) { try await TestTime.beforeAskingAgain() }
    }
  }

  /// Whether a process is in a wait that nothing ends but what it waits for.
  private static func isStuck(_ pid: Int32) -> Bool {
    let status = FileManager.default.contents(atPath: "/proc/\(pid)/stat").map { String(decoding: $0, as: UTF8.self) }
    return status?.split(separator: ")").last?.hasPrefix(" D ") == true
  }
}
