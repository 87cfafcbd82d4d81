import Domain
import Glibc

/// What makes a node's disk slow: a control group of the node's processes, of which the kernel takes no more than so much
/// to a device in a second (`blkio.throttle`, control groups of version 1).
///
/// It meets what processes flush themselves (`fsync`, `sync_file_range`), and so all that Baton relies on. What the kernel
/// writes back by itself, the file system's journal and reads keep their pace. Nothing has to run for it: whoever dies
/// leaves a disk that is slow, never one that stands still.
struct DiskThrottle: Sendable {
  private static let groups = "/sys/fs/cgroup/blkio"
  private static let bytes = "blkio.throttle.write_bps_device"
  private static let writes = "blkio.throttle.write_iops_device"

  /// The name of the group: the same as that of the disk in the mount table.
  let name: String

  /// Whether this machine has such groups, and lets this process make one.
  static var isSupported: Bool { access("\(groups)/\(bytes)", W_OK) == 0 }

  private var folder: String { "\(Self.groups)/\(name)" }

  /// Sets the limits for the file system at `disk`, in place of those before.
  func limit(_ disk: String, bytesPerSecond: ByteCount, writesPerSecond: Int) throws(LabError) {
    guard let device = MountTable.device(of: disk) else { throw Files.failure("find the device of", disk, ENODEV) }
    try Files.makeFolder(folder)
    try Files.tell("\(device) \(max(1, bytesPerSecond.bytes))", to: "\(folder)/\(Self.bytes)")
    try Files.tell("\(device) \(max(1, writesPerSecond))", to: "\(folder)/\(Self.writes)")
  }

  /// Whether a process is in the group; also one that is gone needs no more to be taken into it.
  func holds(_ pid: Int32) -> Bool {
    guard let groups = Files.text("/proc/\(pid)/cgroup") else { return true }
    return groups.split(separator: "\n").contains { $0.hasSuffix(":blkio:/\(name)") }
  }

  /// Takes a process in, with all its threads; its children will be in it, too.
  func take(_ pid: Int32) throws(LabError) {
    do {
      try Files.tell("\(pid)", to: "\(folder)/cgroup.procs")
    } catch {
      // It ended meanwhile.
      if !Self.isThere(pid) { return }
      throw error
    }
  }

  private static func isThere(_ pid: Int32) -> Bool { ProcessTable.state(of: pid)?.hasEnded == false }

  /// Takes the limits away, also from what waits already; none is success.
  func lift() throws(LabError) {
    for limit in [Self.bytes, Self.writes] {
      let path = "\(folder)/\(limit)"
      for line in (Files.text(path) ?? "").split(separator: "\n") {
        guard let device = line.split(separator: " ").first else { continue }
        try Files.tell("\(device) 0", to: path)
      }
    }
  }

  /// Removes the group, in which no process runs any more; none is success.
  func remove() async throws {
    // The last ones may still be on their way out.
    try await Waiting.until("the end of the control group \(name)", within: .seconds(20)) {
      if rmdir(folder) == 0 || errno == ENOENT { return true }
      guard errno == EBUSY else { throw Files.failure("remove", folder) }
      return false
    }
  }

  /// Lines of a shell script that take the limits away from all groups whose names begin with `prefix`.
  static func lifting(prefix: String) -> String {
    """
    for limit in \(groups)/\(prefix)*/blkio.throttle.write_*_device; do
      while read -r device rest; do echo "$device 0" >"$limit"; done <"$limit"
    done 2>/dev/null
    """
  }

  /// Lines of a shell script that remove those groups, in which no process runs any more.
  static func removing(prefix: String) -> String {
    """
    for group in \(groups)/\(prefix)*; do rmdir "$group"; done 2>/dev/null
    """
  }
}
