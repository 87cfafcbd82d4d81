public import Domain
import Glibc

extension LabNode {
  /// Ends the node's sshd: new connections are refused, sessions and everything else go on.
  ///
  /// `boot` takes it back.
  public func refuseSSH() async throws {
    try await exclusively {
      let (record, _) = try recorded()
      guard let listener = try listener() else { return }
      try await listener.end(by: [], grace: .zero)
      // Where sshd stands for the node, the next boot has to start it.
      if record.isolation == .marked { try file.updateNode(name) { $0.process = nil } }
    }
  }

  /// Stops the node's sshd: new connections are made and hear nothing, sessions go on.
  ///
  /// `boot` takes it back.
  public func hangSSH() async throws {
    try await exclusively {
      guard let listener = try listener(), try listener.signal(SIGSTOP) else {
        throw LabError(.unsupported, "node \(name) has no sshd to stop", advice: "boot it first")
      }
      try await Waiting.until("node \(name) to fall silent", within: .seconds(10)) {
        ProcessTable.state(of: listener.pid)?.letter == "T"
      }
    }
  }

  /// Stops every process of the node: sessions stay open and hear nothing more.
  ///
  /// `boot` takes it back.
  public func freeze() async throws {
    try await exclusively {
      // Until all are stopped: one that was not yet may fork meanwhile.
      try await Waiting.until("node \(name) to freeze", within: .seconds(10)) {
        let moving = try processes().filter { ProcessTable.state(of: $0).map { $0.letter != "T" } ?? false }
        for pid in moving { try ProcessIdentity(pid: pid)?.signal(SIGSTOP) }
        return moving.isEmpty
      }
    }
  }

  /// Lets all stopped processes of the node run on.
  func thaw() async throws {
    for pid in try processes() { try ProcessIdentity(pid: pid)?.signal(SIGCONT) }
  }

  /// Gives the node another host key, as a machine that was installed anew or replaced has.
  ///
  /// Its sshd is restarted.
  ///
  /// The key stays through `revoke` and `boot`; `description` tells it.
  public func changeHostKey() async throws {
    try await refuseSSH()
    try await exclusively {
      try await Keys.make(layout.hostKey, comment: "lab host \(name)")
      try await bootLocked()
    }
  }

  /// Stalls the node's disk, as an SSD does that is busy with itself: it can be read, and who writes waits, and cannot
  /// even be killed.
  ///
  /// `resumeDisk` takes it back, and so do `boot`, `crash` and `revoke`.
  ///
  /// Throws `.unsupported` where the disk is no device (`LabSettings.disk`).
  public func stallDisk() async throws {
    try await exclusively { try await disk().stall() }
  }

  /// Whether disks of nodes can be slow here: with root, and where the kernel has `blkio.throttle` (control groups of
  /// version 1).
  public static var canSlowDisks: Bool { DiskThrottle.isSupported }

  /// Makes the node's disk slow: of what the node flushes no more is written in a second, and whoever flushes more waits.
  ///
  /// What was written and not flushed costs no time, as on any disk with memory before it. `resumeDisk` takes it back,
  /// and so do `boot`, `crash` and `revoke`.
  ///
  /// Throws `.unsupported` where the disk is no device (`LabSettings.disk`), and where `canSlowDisks` is false.
  public func slowDisk(bytesPerSecond: ByteCount, writesPerSecond: Int) async throws {
    try await exclusively {
      try await disk().slow(bytesPerSecond: bytesPerSecond, writesPerSecond: writesPerSecond) {
        () throws(LabError) in try processes()
      }
    }
  }

  /// Lets a disk go on that is stalled or slow; what waited is written, and nothing was lost.
  public func resumeDisk() async throws {
    try await exclusively { try await disk().recover() }
  }

  /// Fills the node's disk until `left` is free.
  ///
  /// `emptyDisk` takes it back, and so does `revoke`.
  ///
  /// Throws `.unsupported` where the disk is only a folder: it would fill the machine.
  public func fillDisk(leaving left: ByteCount) async throws {
    guard try recorded().0.isolation == .namespaces else {
      throw LabError(.unsupported, "without root a lab's disk is a folder of the machine", advice: "run it as root")
    }
    var space = statvfs()
    guard statvfs(layout.disk, &space) == 0 else { throw Files.failure("ask the size of", layout.disk) }
    let amount = Int64(space.f_bavail) * Int64(space.f_frsize) - left.bytes
    guard amount > 0 else { return }
    let filler = open(layout.filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
    guard filler >= 0 else { throw Files.failure("create", layout.filler) }
    defer { close(filler) }
    var size = stat()
    guard fstat(filler, &size) == 0 else { throw Files.failure("ask the size of", layout.filler) }
    let problem = posix_fallocate(filler, size.st_size, off_t(amount))
    guard problem == 0 else { throw Files.failure("fill", layout.filler, problem) }
  }

  /// Removes what `fillDisk` wrote.
  public func emptyDisk() throws {
    try Files.remove(layout.filler)
  }
}
