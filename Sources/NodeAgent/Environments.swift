import CLinux
import Domain
import Glibc
import ObjectStorage
import Wire

/// The environments on this node's disk; calls may block.
struct Environments: Sendable {
  let node: NodeFolder

  func path(_ key: String) -> String { "\(node.environments)/\(key)" }
  /// It is there once all of the environment is.
  func stamp(_ key: String) -> String { path(key) + ".json" }
  /// Held by who makes it, begins to use it, or removes it.
  func lock(_ key: String) -> String { path(key) + ".lock" }
  /// Its time says when an attempt last began to use it, its text how much it is.
  private func used(_ key: String) -> String { path(key) + ".used" }

  /// Notes that an attempt begins to use it; the lock is held.
  ///
  /// `bytes` is how much it is, nil where that was noted when it was made.
  func use(_ key: String, _ bytes: ByteCount?) throws(SystemError) {
    let bytes = bytes ?? noted(key) ?? Disk.allocated(path(key))
    let file = try Disk.open(used(key), O_WRONLY | O_CREAT | O_TRUNC)
    try Disk.write(Array("\(bytes.bytes)\n".utf8), to: file, path: used(key))
  }

  /// Looking at all of its files takes long.
  private func noted(_ key: String) -> ByteCount? {
    guard let bytes = try? Disk.readAll(used(key), limit: 64), bytes.last == UInt8(ascii: "\n") else { return nil }
    return Int64(String(decoding: bytes.dropLast(), as: UTF8.self)).map { ByteCount($0) }
  }

  /// All that are there, also what is half of one, by key.
  func all() throws -> [EnvironmentReport] {
    guard Disk.status(node.environments) != nil else { return [] }
    let inUse = try inUse()
    let keys = try Disk.names(in: node.environments).filter { Disk.status(path($0))?.isFolder == true }
    return keys.sorted().map { key in
      EnvironmentReport(
        key: key, bytes: noted(key) ?? Disk.allocated(path(key)), lastUse: lastUse(key), isInUse: inUse.contains(key))
    }
  }

  /// Whether there is one, or the beginning of one.
  var hasAny: Bool {
    // A folder that cannot be read is told of by who needs what is in it.
    ((try? Disk.names(in: node.environments)) ?? []).contains { Disk.status(path($0))?.isFolder == true }
  }

  private func lastUse(_ key: String) -> Timestamp {
    for path in [used(key), stamp(key), path(key)] {
      if let status = Disk.status(path), status.stamp.count > 2 {
        return Timestamp(microseconds: status.stamp[1] * 1_000_000 + status.stamp[2] / 1000)
      }
    }
    return Timestamp(microseconds: 0)
  }

  /// Those that attempts which are not over have a link to.
  ///
  /// Throws where nobody can say whether such an attempt is over.
  private func inUse() throws -> Set<String> {
    var keys: Set<String> = []
    for id in try node.knownAttempts() {
      let folder = node.attempt(id)
      guard let target = realpath(folder.environment, nil) else { continue }
      defer { free(target) }
      guard try !JournalFile.hasEnded(JournalFile.read(folder.journal).entries.map(\.event)) else { continue }
      let path = String(cString: target)
      if path.hasPrefix(node.environments + "/") { keys.insert(String(path.dropFirst(node.environments.count + 1))) }
    }
    return keys
  }

  /// Removes an environment; false where one is making it at this moment, or an attempt uses it.
  ///
  /// The stamp goes first: what is stopped in the middle is no environment any more.
  func remove(_ key: String) throws -> Bool {
    let held = try Disk.open(lock(key), O_RDWR | O_CREAT, mode: 0o600)
    guard flock(held.raw, LOCK_EX | LOCK_NB) == 0, try !inUse().contains(key) else { return false }
    try Disk.removeTree(stamp(key))
    try Disk.synchronize(folder: node.environments)
    for path in [path(key), used(key)] { try Disk.removeTree(path) }
    return true
  }
}
