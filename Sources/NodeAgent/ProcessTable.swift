import Domain
import Glibc
import ObjectStorage

/// A process that cannot be mistaken for a later one with the same number.
struct ProcessIdentity: Hashable, Sendable, Codable {
  var pid: Int32
  /// In clock ticks since the boot.
  var startTime: UInt64
  /// The boot that `startTime` counts from.
  var bootID: String
}

/// What `/proc` says.
enum ProcessTable {
  struct Entry: Hashable, Sendable {
    var parent: Int32
    var startTime: UInt64
    var isZombie: Bool
  }

  /// One process; nil where it is gone.
  static func entry(_ pid: Int32) -> Entry? {
    guard let bytes = try? Disk.readAll("/proc/\(pid)/stat") else { return nil }
    // The name in brackets may hold anything, brackets too: what follows is counted from the last one.
    guard let close = bytes.lastIndex(of: UInt8(ascii: ")")) else { return nil }
    let fields = bytes[(close + 1)...].split(separator: UInt8(ascii: " "))
    guard fields.count > 19, let parent = Int32(String(decoding: fields[1], as: UTF8.self)),
      let start = UInt64(String(decoding: fields[19], as: UTF8.self))
    else { return nil }
    return Entry(parent: parent, startTime: start, isZombie: fields[0].first == UInt8(ascii: "Z"))
  }

  static func bootID() -> String {
    let bytes = (try? Disk.readAll("/proc/sys/kernel/random/boot_id")) ?? []
    return String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
  }

  /// The calling process.
  static func current() -> ProcessIdentity {
    ProcessIdentity(pid: getpid(), startTime: entry(getpid())?.startTime ?? 0, bootID: bootID())
  }

  static func isAlive(_ identity: ProcessIdentity) -> Bool {
    guard let entry = entry(identity.pid), !entry.isZombie else { return false }
    return entry.startTime == identity.startTime && identity.bootID == bootID()
  }

  /// The supervisor of an attempt, if it lives.
  static func supervisor(of folder: AttemptFolder) -> ProcessIdentity? {
    guard let bytes = try? Disk.readAll(folder.pid) else { return nil }
    guard let identity = try? Codec.decode(ProcessIdentity.self, bytes), isAlive(identity) else { return nil }
    return identity
  }

  private static func allPids() -> [Int32] { ((try? Disk.names(in: "/proc")) ?? []).compactMap { Int32($0) } }

  /// All processes that live, by number.
  static func all() -> [Int32: Entry] {
    var found: [Int32: Entry] = [:]
    for pid in allPids() {
      if let entry = entry(pid), !entry.isZombie { found[pid] = entry }
    }
    return found
  }

  /// Children, their children, and so on; parents before children.
  static func descendants(of pid: Int32) -> [Int32] {
    let children = Dictionary(grouping: all(), by: \.value.parent).mapValues { $0.map(\.key) }
    var found: [Int32] = []
    var open = [pid]
    while let next = open.popLast() {
      let below = children[next] ?? []
      found += below
      open += below
    }
    return found
  }

  /// The processes at and below `pid` that handle `signal`, without those below another one of them.
  ///
  /// A wrapper that knows nothing of the signal is passed over, and the workers that a program forked are left
  /// alone: they inherit its handler, and would save, or die, on their own.
  static func topmostHandlers(of signal: Int32, at pid: Int32) -> [Int32] {
    let children = Dictionary(grouping: all(), by: \.value.parent).mapValues { $0.map(\.key) }
    var found: [Int32] = []
    var open = [pid]
    while let next = open.popLast() {
      if handles(signal, next) { found.append(next) } else { open += children[next] ?? [] }
    }
    return found
  }

  private static func handles(_ signal: Int32, _ pid: Int32) -> Bool {
    guard let bytes = try? Disk.readAll("/proc/\(pid)/status") else { return false }
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") where line.hasPrefix("SigCgt:") {
      let mask = UInt64(line.dropFirst("SigCgt:".count).filter { $0.isHexDigit }, radix: 16) ?? 0
      return mask & (1 << UInt64(signal - 1)) != 0
    }
    return false
  }

  /// What marks every process of an attempt on this node.
  static func marker(of folder: AttemptFolder) -> [String: String] {
    ["BATON_ATTEMPT_ID": "\(folder.id.rawValue)", "BATON_AGENT_ROOT": folder.root]
  }

  /// Processes that were started with the marker of an attempt.
  static func marked(_ folder: AttemptFolder) -> [Int32] {
    let wanted = marker(of: folder).map { Array("\($0.key)=\($0.value)".utf8)[...] }
    return allPids().filter { pid in
      guard pid != getpid(), let bytes = try? Disk.readAll("/proc/\(pid)/environ"), !bytes.isEmpty else { return false }
      let variables = bytes.split(separator: 0)
      return wanted.allSatisfy { variables.contains($0) } && entry(pid)?.isZombie == false
    }
  }

  /// Kills the supervisor and all marked processes of an attempt; the processes that would not die within 10 s.
  static func killRemains(of folder: AttemptFolder) -> [Int32] {
    let limit = BootInstant.now() + .seconds(10)
    while true {
      var left = marked(folder)
      if let supervisor = supervisor(of: folder) { left.append(supervisor.pid) }
      if left.isEmpty || BootInstant.now() > limit { return left }
      for pid in left { kill(pid, SIGKILL) }
      // There is nothing to wait on for another's child but time.
      _ = poll(nil, 0, 10)
    }
  }
}
