import Domain
import Foundation
import Glibc
import ObjectStorage
import TestKit
import Testing
import Wire

@Suite(.timeLimit(.minutes(2)))
struct LifeTests {
  private let forever = "trap 'exit 0' TERM" + Script.wait

  @Test func startsOneSupervisorHoweverOftenItIsAsked() async throws {
    try await AgentFixture.with { fixture in
      let node = fixture.node()
      let order = try fixture.order(forever)
      try await withThrowingTaskGroup(of: AgentReply.self) { group in
        for _ in 0..<4 { group.addTask { try await node.start(order) } }
        for try await reply in group { #expect(reply == .ok) }
      }
      let follower = try await fixture.launch(order, on: node)
      try #expect(await node.start(order) == .ok)
      try #expect(await node.control(order.attempt, .stop(.cancelled)) == .ok)
      _ = try await follower.outcome()
      try #expect(await node.start(order) == .ok)
      #expect(follower.events.count { if case .accepted = $0 { true } else { false } } == 1)
      let entries = try await node.list().attempts
      #expect(entries.map(\.attempt) == [order.attempt] && entries.allSatisfy(\.hasEnded))
    }
  }

  @Test func refusesWhoWasReplaced() async throws {
    try await AgentFixture.with { fixture in
      let node = fixture.node()
      var order = try fixture.order(forever)
      order.controllerEpoch = 5
      try #expect(await node.start(order) == .ok)
      let stale = try await node.control(order.attempt, .stop(.cancelled), epoch: 4)
      guard case .refused(let reason) = stale else { return #expect(stale != .ok) }
      #expect(reason.contains("epoch 4") && reason.contains("5"))
      try #expect(
        await node.control(
          order.attempt, .deadline(leaseRemaining: .seconds(60), leaseEnd: order.leaseEnd, store: nil), epoch: 6)
          == .ok)
      order.attempt = AttemptID(8)
      order.number = 2
      #expect(try await node.start(order) != .ok)
      order.controllerEpoch = 6
      order.version = 99
      #expect(try await node.start(order) != .ok)
    }
  }

  @Test func noThreadTakesASignalThatTheSupervisorWaitsFor() async throws {
    try await AgentFixture.with { fixture in
      let node = fixture.node()
      var order = try fixture.order(forever)
      // A store whose client has threads of its own; nothing is asked of it.
      order.store = .swiftTempURL(
        SwiftTempURLAccess(origin: "http://127.0.0.1:1", containerPath: "/v1/a/c", prefix: "", grants: [], expires: 0))
      try #expect(await node.start(order) == .ok)
      let follower = try Follower(node, order.attempt)
      let accepted = try await follower.event { if case .accepted = $0 { true } else { false } }
      guard case .accepted(let pid, _) = accepted else { return }
      let threads = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task")
      #expect(threads.count > 1)
      for thread in threads {
        let status = try fixture.text("/proc/\(pid)/task/\(thread)/status")
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("SigBlk:") })
        let mask = try #require(UInt64(line.split(separator: "\t").last ?? "", radix: 16))
        #expect(mask & (1 << (SIGCHLD - 1)) != 0, "\(status)")
      }
      try #expect(await node.control(order.attempt, .kill(.cancelled)) == .ok)
    }
  }

  @Test func aNewerAttemptEndsAnOlderOneForGood() async throws {
    try await AgentFixture.with { fixture in
      let node = fixture.node()
      let older = try fixture.order(forever)
      let follower = try await fixture.launch(older, on: node)
      let launched = try await follower.event { if case .launched = $0 { true } else { false } }
      var newer = older
      newer.attempt = AttemptID(8)
      newer.number = 2
      try #expect(await node.start(newer) == .ok)
      if case .launched(let pids) = launched { for pid in pids { try await ProcessEnd.wait(pid) } }
      var late = older
      late.attempt = AttemptID(9)
      let reply = try await node.start(late)
      guard case .refused(let reason) = reply else { return #expect(reply != .ok) }
      #expect(reason.contains("number 2"))
    }
  }

  @Test func ranksDieWithTheirSupervisorAndPurgeCleansUp() async throws {
    try await AgentFixture.with { fixture in
      let node = fixture.node()
      let script = "setsid sleep infinity & echo $! > ../orphan.tmp; mv ../orphan.tmp ../orphan; " + forever
      let order = try fixture.order(script)
      let follower = try await fixture.launch(order, on: node)
      try await follower.event { if case .firstLine = $0 { true } else { false } }
      guard case .accepted(let supervisor, _) = follower.events.first,
        let rank = follower.events.compactMap({ if case .launched(let pids) = $0 { pids.first } else { nil } }).first
      else { throw FollowEnded(frames: follower.frames) }
      let orphan = try #require(Int32(try fixture.text(node.folder() + "/orphan").filter(\.isNumber)))
      kill(supervisor, SIGKILL)
      try await follower.drain()
      #expect(follower.frames.last == .supervisorGone)
      try await ProcessEnd.wait(rank)
      #expect(isRunning(orphan))
      let again = try await node.start(order)
      guard case .refused(let reason) = again else { return #expect(again != .ok) }
      #expect(reason.contains("purge"))
      try #expect(await node.purge(order.attempt) == .ok)
      try #expect(await node.purge(order.attempt) == .ok)
      #expect(!isRunning(orphan))
      #expect(!fixture.isThere(node.folder()))
      let late = try Follower(node, order.attempt)
      try await late.drain()
      #expect(late.frames == [.unknownAttempt])
    }
  }

  @Test func controlMayBeSaidTwice() async throws {
    try await AgentFixture.with { fixture in
      let node = fixture.node()
      let order = try fixture.order(forever)
      #expect(try await node.control(order.attempt, .launch(masterPort: 1)) != .ok)
      let follower = try await fixture.launch(order, on: node)
      try #expect(await node.control(order.attempt, .launch(masterPort: 29_500)) == .ok)
      for _ in 0..<2 { try #expect(await node.control(order.attempt, .checkpoint) == .ok) }
      for _ in 0..<2 { try #expect(await node.control(order.attempt, .stop(.timeLimit)) == .ok) }
      #expect(try await follower.outcome().stopped == .timeLimit)
      try #expect(await node.control(order.attempt, .stop(.timeLimit)) == .ok)
      #expect(follower.events.count { if case .launched = $0 { true } else { false } } == 1)
      #expect(follower.events.count { if case .stopping = $0 { true } else { false } } == 1)
    }
  }

  @Test func movesTheDeadline() async throws {
    try await AgentFixture.with { fixture in
      let node = fixture.node()
      let order = try fixture.order(forever, lease: 600)
      let follower = try await fixture.launch(order, on: node)
      try #expect(
        await node.control(order.attempt, .deadline(leaseRemaining: .seconds(2), leaseEnd: order.leaseEnd, store: nil))
          == .ok)
      #expect(try await follower.outcome().stopped == .leaseEnd)
    }
  }

  @Test func followsFromTheMiddle() async throws {
    try await AgentFixture.with { fixture in
      let node = fixture.node()
      let order = try fixture.order("printf 'one\\ntwo\\nthree\\ntorn' >> $BATON_METRICS")
      let (_, whole) = try await fixture.run(order, on: node)
      try await whole.drain()
      let late = try Follower(node, order.attempt, journal: 3, metrics: 4)
      try await late.drain()
      let journal: [FollowFrame] = whole.frames.filter {
        if case .journal(let entry) = $0 { entry.sequence > 3 } else { false }
      }
      #expect(late.frames.filter { if case .journal = $0 { true } else { false } } == journal)
      #expect(late.frames.contains(.metrics(lines: ["two", "three"], end: 14)))
    }
  }

  @Test func readsALogFromAnOffset() async throws {
    try await AgentFixture.with { fixture in
      let node = fixture.node()
      let order = try fixture.order("echo 0123456789; echo trouble >&2")
      _ = try await fixture.run(order, on: node)
      let result = try await AgentProcess.run([
        "logs", "--root", node.root, "--attempt", "7", "--rank", "0", "--offset", "8", "--follow",
      ])
      #expect(String(decoding: result.output, as: UTF8.self) == "89\ntrouble\n")
    }
  }

  @Test func writesItsLastEntryOnAFullDisk() async throws {
    guard getuid() == 0 else {
      withKnownIssue("a small file system needs root") { Issue.record("not tried") }
      return
    }
    try await AgentFixture.with { fixture in
      let disk = fixture.scratch + "/small"
      try FileManager.default.createDirectory(atPath: disk, withIntermediateDirectories: true)
      try #require(mount("none", disk, "tmpfs", 0, "size=8m") == 0)
      defer { umount2(disk, Int32(MNT_DETACH)) }
      let node = fixture.node(root: disk + "/node")
      let (outcome, _) = try await fixture.run(try fixture.order("cat /dev/zero > filler; exit 4"), on: node)
      #expect(outcome.exits.first?.code == 4)
      try #expect(await node.purge(AttemptID(7)) == .ok)
    }
  }

  @Test func explainsItsFlags() async throws {
    for arguments in [[], ["dance"], ["list"], ["purge", "--root", "/tmp/x", "--attempt", "x"], ["list", "--root"]] {
      let result = try await AgentProcess.run(arguments)
      #expect(result.code == 2)
      #expect(result.errors.contains("usage:"))
    }
  }
}
