import Domain
import Glibc
import TestKit
import Testing

@testable import Lab

@Suite struct NodeTests {
  @Test(.timeLimit(.minutes(2))) func answersWithItsPinnedHostKeyAndItsOwnEnvironment() async throws {
    try await LabFixture.withNodes(2) { lab in
      let node = try lab.node("n2")
      let result = try await node.ssh("echo $BATON_NODE_ROOT; echo $HOME; nvidia-smi -L | wc -l; pwd; hostname")
      #expect(result.status == 0, "\(result.problems)")
      let lines = result.output.split(separator: "\n").map(String.init)
      let place = try node.description
      #expect(lines.prefix(3) == [place.rootPath, "\(place.rootPath)/home", "2"])
      if isRoot { #expect(lines.suffix(2) == ["\(place.rootPath)/home", "n2"]) }
      let other = try await lab.node("n1").ssh("true", expecting: place.hostPublicKey)
      #expect(other.status == 255)
      #expect(other.problems.contains("Host key verification failed"))
    }
  }

  @Test(.timeLimit(.minutes(2))) func reportsStandInDevicesAsSuch() async throws {
    try await LabFixture.withNodes { lab in
      let node = try lab.node("n1")
      let query = "nvidia-smi --query-gpu=index,name,memory.total,uuid --format=csv,noheader,nounits"
      let lines = try await node.ssh(query).output.split(separator: "\n").map { $0.split(separator: ",") }
      #expect(lines.map { $0.count } == [4, 4])
      #expect(lines.allSatisfy { $0[1] == " Baton stand-in GPU (no device)" && $0[2] == " 16384" })
      #expect(Set(lines.map { $0[3] }).count == 2)
      #expect(try await node.ssh("nvidia-smi").output.contains("none of these devices exists"))
      #expect(try await node.ssh("nvidia-smi --query-gpu=serial --format=csv").status == 2)
    }
  }

  @Test(.enabled(if: isRoot), .timeLimit(.minutes(2))) func hasADiskThatEnds() async throws {
    try await LabFixture.withNodes(2) { lab in
      let node = try lab.node("n1")
      let tooMuch = try await node.ssh("head -c 20000000 /dev/zero >$BATON_NODE_ROOT/big")
      #expect(tooMuch.problems.contains("No space left on device"))
      #expect(try await node.ssh("rm $BATON_NODE_ROOT/big").status == 0)
      try await node.fillDisk(leaving: .mebibytes(1))
      #expect(try await node.ssh("head -c 2000000 /dev/zero >$BATON_NODE_ROOT/big").status != 0)
      #expect(try await lab.node("n2").ssh("head -c 2000000 /dev/zero >$BATON_NODE_ROOT/big").status == 0)
      try node.emptyDisk()
      #expect(try await node.ssh("head -c 2000000 /dev/zero >$BATON_NODE_ROOT/big").status == 0)
    }
  }

  @Test(
    .enabled(if: hasDevices, "disks that are devices need root and loop devices"), .timeLimit(.minutes(2)))
  func waitsForADiskThatStallsAndLosesNothing() async throws {
    try await LabFixture.withNodes(2, disk: .device) { lab in
      let (node, other) = (try lab.node("n1"), try lab.node("n2"))
      let tooMuch = try await node.ssh("head -c 20000000 /dev/zero >$BATON_NODE_ROOT/big")
      #expect(tooMuch.problems.contains("No space left on device"))
      #expect(try await node.ssh("rm $BATON_NODE_ROOT/big; echo kept >$BATON_NODE_ROOT/data").status == 0)
      try await node.stallDisk()
      // It is read, and the other's is another one.
      #expect(try await node.ssh("cat $BATON_NODE_ROOT/data").output == "kept\n")
      #expect(try await other.ssh("echo other >$BATON_NODE_ROOT/data").status == 0)
      async let writing = node.ssh("echo more >>$BATON_NODE_ROOT/data")
      while try !node.processes().contains(where: { ProcessTable.state(of: $0)?.letter == "D" }) {
        try await TestTime.beforeAskingAgain()
      }
      try await node.resumeDisk()
      #expect(try await writing.status == 0)
      #expect(try await node.ssh("cat $BATON_NODE_ROOT/data").output == "kept\nmore\n")
      // What hangs at it goes with the node, and with its disk.
      try await node.stallDisk()
      let process = try #require(lab.file.read().nodes[0].process)
      try await node.revoke()
      #expect(!process.isAlive)
      #expect(try await node.ssh("cat $BATON_NODE_ROOT/data").status == 1)
      #expect(try await other.ssh("cat $BATON_NODE_ROOT/data").output == "other\n")
      try await node.stallDisk()
    }
  }

  @Test(.enabled(if: hasSlowDevices, "disks that are slow need blkio.throttle"), .timeLimit(.minutes(2)))
  func flushesNoFasterThanASlowDiskAndLosesNothing() async throws {
    try await LabFixture.withNodes(2, disk: .device) { lab in
      let (node, other) = (try lab.node("n1"), try lab.node("n2"))
      func flush(_ mebibytes: Int, on node: LabNode) async throws -> Duration {
        let write = "head -c \(mebibytes << 20) /dev/urandom >$BATON_NODE_ROOT/data && sync $BATON_NODE_ROOT/data"
        return try await ContinuousClock().measure {
          let result = try await node.ssh(write)
          #expect(result.status == 0, "\(result.problems)")
        }
      }
      let daemon = try await startDaemon(on: node)
      try await node.slowDisk(bytesPerSecond: .mebibytes(1), writesPerSecond: 100)
      let throttle = DiskThrottle(name: try lab.file.read().mountSource(of: "n1"))
      #expect(throttle.holds(daemon.pid))
      #expect(try await flush(4, on: node) > .seconds(3))
      #expect(try await node.ssh("wc -c <$BATON_NODE_ROOT/data").output == "\(4 << 20)\n")
      _ = try await flush(4, on: other)
      // A limit that would hold it for hours is gone at once for who waits already.
      try await node.slowDisk(bytesPerSecond: ByteCount(1), writesPerSecond: 100)
      async let writing = flush(1, on: node)
      while try !node.processes().contains(where: { ProcessTable.state(of: $0)?.letter == "D" }) {
        try await TestTime.beforeAskingAgain()
      }
      try await node.resumeDisk()
      _ = try await writing
      try await node.slowDisk(bytesPerSecond: ByteCount(1), writesPerSecond: 1)
      try await node.revoke()
      _ = try await flush(4, on: node)
      #expect(!Files.exists("/sys/fs/cgroup/blkio/\(throttle.name)"))
    }
  }

  @Test(.timeLimit(.minutes(2))) func losesItsProcessesAndItsDiskWhenItIsRevoked() async throws {
    try await LabFixture.withNodes(2) { lab in
      let (node, other) = (try lab.node("n1"), try lab.node("n2"))
      let before = try node.description
      let daemons = try [await startDaemon(on: node), await startDaemon(on: other)]
      #expect(daemons.allSatisfy { $0.isAlive })
      let content = "echo secret >$BATON_NODE_ROOT/data"
      #expect(try await node.ssh(content).status == 0)
      #expect(try await other.ssh(content).status == 0)

      try await node.revoke()

      #expect(!daemons[0].isAlive)
      #expect(daemons[1].isAlive)
      #expect(try node.description == before)
      #expect(
        try await node.ssh("ls -A $BATON_NODE_ROOT $HOME $TMPDIR; cat $BATON_NODE_ROOT/data").output.contains("home"))
      #expect(try await node.ssh("cat $BATON_NODE_ROOT/data").status == 1)
      #expect(try await other.ssh("cat $BATON_NODE_ROOT/data").output == "secret\n")
    }
  }

  @Test(.timeLimit(.minutes(2))) func keepsItsDiskThroughACrash() async throws {
    try await LabFixture.withNodes { lab in
      let node = try lab.node("n1")
      let daemon = try await startDaemon(on: node)
      #expect(try await node.ssh("echo kept >$BATON_NODE_ROOT/data").status == 0)
      try await node.crash()
      #expect(!daemon.isAlive)
      #expect(try node.state == .down)
      #expect(try await node.ssh("true").status == 255)
      try await node.boot()
      #expect(try node.state == .running)
      #expect(try await node.ssh("cat $BATON_NODE_ROOT/data").output == "kept\n")
    }
  }

  @Test(.timeLimit(.minutes(2))) func hangsAndRefusesWhileItsProcessesGoOn() async throws {
    try await LabFixture.withNodes { lab in
      let node = try lab.node("n1")
      let daemon = try await startDaemon(on: node)
      try await node.hangSSH()
      #expect(try node.state == .hanging)
      try await node.boot()
      #expect(try node.state == .running)
      try await node.refuseSSH()
      #expect(try node.state == (isRoot ? .refusing : .down))
      #expect(daemon.isAlive)
      try await node.boot()
      #expect(try await node.ssh("true").status == 0)
      #expect(daemon.isAlive)
      try await node.freeze()
      #expect(ProcessTable.state(of: daemon.pid)?.letter == "T")
      try await node.revoke()
      #expect(!daemon.isAlive)
      #expect(try await node.ssh("true").status == 0)
    }
  }

  @Test(.timeLimit(.minutes(2))) func showsAnotherHostKeyWhenItWasReplaced() async throws {
    try await LabFixture.withNodes { lab in
      let node = try lab.node("n1")
      let old = try node.description.hostPublicKey
      try await node.changeHostKey()
      let new = try node.description.hostPublicKey
      #expect(new != old)
      #expect(try await node.ssh("true", expecting: old).problems.contains("REMOTE HOST IDENTIFICATION HAS CHANGED"))
      #expect(try await node.ssh("true", expecting: new).status == 0)
      try await node.revoke()
      #expect(try node.description.hostPublicKey == new)
    }
  }

  @Test(.enabled(if: isRoot), .timeLimit(.minutes(2))) func buriesOrphansSoThatTheirNumbersAreGone() async throws {
    try await LabFixture.withNodes { lab in
      let node = try lab.node("n1")
      // The shell leaves a child behind, which process 1 of the node adopts.
      let orphan = try await startDaemon(on: node)
      kill(orphan.pid, SIGKILL)
      try await ProcessEnd.wait(orphan.pid)
      while Files.exists("/proc/\(orphan.pid)") { try await TestTime.beforeAskingAgain() }
    }
  }

  /// Starts a process that left its session and its parents, as a daemon does; its number on the machine.
  private func startDaemon(on node: LabNode) async throws -> ProcessIdentity {
    let script = "echo $$; exec sleep infinity </dev/null >/dev/null 2>&1"
    let result = try await node.ssh("(setsid sh -c 'setsid sh -c \"$0\" &' '\(script)' &) </dev/null")
    #expect(result.status == 0, "\(result.problems)")
    let number = result.output.filter(\.isNumber)
    // The last of its numbers is that in the node's own name space.
    let found = try node.processes().first { pid in
      let lines = (Files.text("/proc/\(pid)/status") ?? "").split(separator: "\n")
      return lines.first { $0.hasPrefix("NSpid:") }?.split(separator: "\t").last.map(String.init) == number
    }
    return try #require(found.flatMap { ProcessIdentity(pid: $0) })
  }
}
