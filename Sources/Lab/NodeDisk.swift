import Domain
import Glibc

/// The disk of a node: with root a file system of its own size, otherwise a folder whose limit is an agreement.
struct NodeDisk: Sendable {
  let layout: NodeLayout
  let source: String
  let size: Int64
  let isolation: LabRecord.Isolation
  let kind: LabSettings.DiskKind

  /// Makes the disk usable: mounts it where that is not done and makes the folders that a fresh node has.
  func prepare() async throws {
    try Files.makeFolder(layout.disk)
    if isolation == .namespaces, !MountTable.entries().contains(where: isOurs) { try await mount() }
    try Files.makeFolder(layout.home, mode: 0o700)
    try Files.makeFolder(layout.scratch, mode: 0o700)
  }

  private func mount() async throws {
    let program = try Programs.find("mount", package: "mount")
    guard kind == .device else {
      let options = "size=\(size),mode=0755,nosuid,nodev"
      try await Command(program, ["-t", "tmpfs", "-o", options, source, layout.disk]).checked()
      return
    }
    if !Files.exists(layout.diskImage) {
      try Files.write("", to: layout.diskImage, mode: 0o600)
      guard truncate(layout.diskImage, off_t(size)) == 0 else { throw Files.failure("make room in", layout.diskImage) }
      let make = try Programs.find("mkfs.ext4", package: "e2fsprogs")
      try await Command(make, ["-q", "-F", "-m", "0", layout.diskImage]).checked()
    }
    let options = "loop,nosuid,nodev"
    try await Command(program, ["-t", "ext4", "-o", options, layout.diskImage, layout.disk]).checked()
  }

  /// Lets nothing more be written to it, and keeps everybody waiting who tries.
  func stall() async throws {
    guard isolation == .namespaces, kind == .device else {
      throw LabError(.unsupported, "only a disk that is a device can stall", advice: "make the lab with such disks")
    }
    try await Command(try Programs.find("fsfreeze", package: "util-linux"), ["--freeze", layout.disk]).checked()
  }

  /// Lets no more than so much of it be flushed in a second by `processes`, which tells those of the node now.
  func slow(
    bytesPerSecond: ByteCount, writesPerSecond: Int, processes: () throws(LabError) -> [Int32]
  ) async throws {
    guard isolation == .namespaces, kind == .device else {
      throw LabError(.unsupported, "only a disk that is a device can be slow", advice: "make the lab with such disks")
    }
    guard DiskThrottle.isSupported else {
      throw LabError(.unsupported, "this machine's kernel has no blkio.throttle (control groups of version 1)")
    }
    try throttle.limit(layout.disk, bytesPerSecond: bytesPerSecond, writesPerSecond: writesPerSecond)
    // Until all are in: one that is not yet may fork meanwhile.
    try await Waiting.until("\(source) to be slow", within: .seconds(10)) {
      let outside = try processes().filter { !throttle.holds($0) }
      for pid in outside { try throttle.take(pid) }
      return outside.isEmpty
    }
  }

  private var throttle: DiskThrottle { DiskThrottle(name: source) }

  /// Takes `stall` and `slow` back; nothing to take back is success.
  func recover() async throws {
    guard isolation == .namespaces, kind == .device else { return }
    try throttle.lift()
    guard MountTable.entries().contains(where: isOurs) else { return }
    // It fails where nothing is stalled.
    _ = try await Command(try Programs.find("fsfreeze", package: "util-linux"), ["--unfreeze", layout.disk]).run()
  }

  /// Forgets what made it slow; no process of the node may run.
  func forgetPace() async throws {
    guard isolation == .namespaces, kind == .device else { return }
    try await throttle.remove()
  }

  /// A loop device has a name of its own.
  private func isOurs(_ entry: MountTable.Entry) -> Bool {
    entry.target == layout.disk && (entry.source == source || kind == .device)
  }

  /// Destroys everything on it.
  ///
  /// The node must be dead.
  func wipe() async throws {
    // Content first: another name space may hold a copy of the mount, and would keep the data and its memory.
    try Files.removeAll(in: layout.disk)
    try await unmount()
    try Files.remove(layout.diskImage)
  }

  /// Takes it out of the mount table; not mounted is success.
  func unmount() async throws {
    guard isolation == .namespaces else { return }
    try await MountTable.unmount(all: isOurs)
  }
}

/// What this machine has mounted.
enum MountTable {
  struct Entry: Sendable {
    var source: String
    var target: String
  }

  static func entries() -> [Entry] {
    (Files.text("/proc/self/mounts") ?? "").split(separator: "\n").compactMap { line in
      let fields = line.split(separator: " ")
      return fields.count >= 2 ? Entry(source: String(fields[0]), target: String(fields[1])) : nil
    }
  }

  /// The numbers of the device that is mounted at `target`, as in `7:0`; nil where nothing is.
  static func device(of target: String) -> String? {
    (Files.text("/proc/self/mountinfo") ?? "").split(separator: "\n").compactMap { line in
      let fields = line.split(separator: " ")
      return fields.count > 4 && fields[4] == target ? String(fields[2]) : nil
    }.last
  }

  /// Unmounts what `choose` picks, detaching at once what is still in use.
  static func unmount(all choose: (Entry) -> Bool) async throws {
    for entry in entries().reversed() where choose(entry) {
      try await Command(try Programs.find("umount", package: "mount"), ["--lazy", "--no-canonicalize", entry.target])
        .checked()
    }
  }
}
