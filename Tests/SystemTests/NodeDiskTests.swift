import APIClient
import Domain
import Foundation
import Lab
import TestKit
import Testing
import Wire

/// Nodes whose disks run full, are slow, and stall as SSDs do that are busy with themselves.
///
/// A stall is that of a file system that lets nobody write (`fsfreeze`). A slow disk takes what is flushed at a pace that
/// the kernel keeps (`blkio.throttle`), as one does whose own memory is full; its reads, and what nobody flushes, are as
/// quick as ever.
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
      #expect(detail.hasPrefix("rank 0 ended with exit code 1"), "\(attempts)")
      #expect(detail.contains("; its checkpoint of step "), "\(attempts)")
      #expect(detail.contains(" is of no use: the disk was full (room for "), "\(attempts)")
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

  @Test func endsRanksWithTheirLeaseThoughWhoWatchesThemWaitsForTheDisk() async throws {
    try await SystemFixture.with(disk: .device) { s in
      let node = try s.lab.node("n1")
      // Nobody else ends them.
      try await s.lab.stopWarden()
      try await s.lease("first", seconds: 12)
      let job = try await s.submit("name: still\nrun: [tail, -f, /dev/null]\n").id
      try await s.wait(job, .running)
      let rank = try s.number(of: try #require(s.strangers(on: node).first { $0.contains("tail -f") }))
      try await node.stallDisk()
      _ = try await s.client.checkpoint("\(job)")
      try await s.waitsForItsDisk(node)
      try await s.waiting(for: "the end of the rank") { try await ProcessEnd.wait(rank) }
      #expect(try s.supervisor(on: node) != nil)
      try await node.resumeDisk()
      try await s.unsupervised(on: node)
      try await s.wait(job, until: "over its lease") { $0.state.isWaiting }
      #expect(try await s.client.run("\(job)").attempts.map(\.outcome) == [.leaseEnded])
    }
  }

  @Test(.enabled(if: canBeSlow, noThrottle)) func stagesOntoASlowDiskAndFetchesNothingTwice() async throws {
    try await NodeStagingTests.with(disk: .device) { s, proxy in
      let node = try s.lab.node("n1")
      let size = 16 << 20
      let (dataset, sum) = try await s.noise("noise", .mebibytes(16))
      proxy.set(.none, on: ["GET"], naming: "/blobs/")
      try await s.lease()
      try await node.slowDisk(bytesPerSecond: .mebibytes(2), writesPerSecond: 50)
      let job = try await s.count("--steps 3 --check noise:\(sum)", "data: [\(dataset.name)]").id
      try await s.waitsForItsDisk(node)
      try await s.wait(job, .completed)
      try await s.expectOneCurve(job, steps: 3)
      #expect(proxy.served == size)
      #expect(try await s.client.run("\(job)").attempts.map(\.outcome) == [.completed])
    }
  }

  @Test(.enabled(if: canBeSlow, noThrottle)) func losesNothingOnADiskThatIsSlowFromTheBeginning() async throws {
    try await SystemFixture.with(nodes: 2, disk: .device) { s in
      try await s.lease("first", nodes: ["n1"], seconds: 24)
      try await s.lease("second", nodes: ["n2"], seconds: 90, startIn: 24)
      // A save takes a second and more.
      try await s.lab.node("n1").slowDisk(bytesPerSecond: .mebibytes(1), writesPerSecond: 50)
      let job = try await s.count("--steps 400 --bulk \(1 << 20)", "checkpoint: {every: 5s}").id
      try await s.wait(job, until: "safe before anybody asked for the last save") { $0.checkpointStep != nil }
      #expect(try s.programs.all("stop").isEmpty)
      let end = try await s.wait(job, .completed)
      let last = try #require(try s.programs.all("saved").last { $0.attempt == 1 })
      #expect(end.attempt?.resumedFromStep == last.step)
      try await s.expectOneCurve(job, steps: 400)
      let run = try await s.client.run("\(job)")
      #expect(run.attempts.map(\.outcome) == [.leaseEnded, .completed], "\(run.attempts)")
      #expect(run.stepsRedone == 0)
    }
  }

  @Test(.enabled(if: canBeSlow, noThrottle)) func losesAtMostOneIntervalWhenItsDiskBecomesTooSlow() async throws {
    try await SystemFixture.with(nodes: 2, disk: .device) { s in
      let interval = 5
      try await s.lease("first", nodes: ["n1"], seconds: 24)
      try await s.lease("second", nodes: ["n2"], seconds: 90, startIn: 24)
      let job = try await s.count("--steps 400 --bulk \(32 << 20)", "checkpoint: {every: \(interval)s}").id
      let safe = try #require(try await s.wait(job, until: "safe") { $0.checkpointStep != nil }.checkpointStep)
      // The next one would take half a minute.
      try await s.lab.node("n1").slowDisk(bytesPerSecond: .mebibytes(1), writesPerSecond: 50)
      let end = try await s.wait(job, .completed)
      #expect(end.attempt?.resumedFromStep == safe)
      try await s.expectOneCurve(job, steps: 400)
      let attempts = try await s.client.run("\(job)").attempts
      #expect(attempts.map(\.outcome) == [.leaseEnded, .completed], "\(attempts)")
      let detail = attempts.first?.detail ?? ""
      #expect(detail.contains(" is of no use: no time was left before it was complete: "), "\(detail)")
      let redone = try s.programs.all("step").count { $0.attempt == 1 && $0.step > safe }
      #expect((1...interval * 20).contains(redone), "\(redone) steps of 50 ms")
    }
  }
}

/// Whether this machine can make such disks.
private let canBeMade = getuid() == 0 && access("/dev/loop-control", F_OK) == 0
/// Whether they can be slow.
private let canBeSlow = canBeMade && LabNode.canSlowDisks
private let noThrottle: Comment = "disks that are slow need blkio.throttle (control groups of version 1)"

extension SystemFixture {
  /// Waits until a process of the node waits for its disk, which no process tells.
  fileprivate func waitsForItsDisk(_ node: LabNode) async throws {
    try await waiting(for: "somebody who waits for the disk of \(node.name)") {
      while try !node.processes().contains(where: Self.isStuck) { try await TestTime.beforeAskingAgain() }
    }
  }

  /// Whether a thread of a process is in a wait that nothing ends but what it waits for.
  private static func isStuck(_ pid: Int32) -> Bool {
    // A process that ended meanwhile has none, and is not stuck.
    let tasks = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task")) ?? []
    return tasks.contains { task in
      let status = FileManager.default.contents(atPath: "/proc/\(pid)/task/\(task)/stat")
      let text = status.map { String(decoding: $0, as: UTF8.self) }
      return text?.split(separator: ")").last?.hasPrefix(" D ") == true
    }
  }
}
