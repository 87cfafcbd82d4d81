import Foundation
import Glibc

/// One process, told apart from any later one that gets the same number.
public struct ProcessIdentity: Sendable, Hashable, Codable {
  /// Its number.
  public var pid: Int32
  /// When it started, in clock ticks since the machine did.
  public var startTicks: UInt64
  /// Which start of the machine: ticks count from it.
  public var bootID: String

  /// The process that has this number now; nil when there is none.
  public init?(pid: Int32) {
    guard let state = ProcessTable.state(of: pid), let boot = ProcessTable.bootID else { return nil }
    self.pid = pid
    startTicks = state.startTicks
    bootID = boot
  }

  init(pid: Int32, startTicks: UInt64, bootID: String) {
    self.pid = pid
    self.startTicks = startTicks
    self.bootID = bootID
  }

  /// Whether this very process is still there.
  ///
  /// One that ended and was not yet waited for is not.
  public var isAlive: Bool {
    guard let state = ProcessTable.state(of: pid) else { return false }
    return state.startTicks == startTicks && !state.hasEnded && bootID == ProcessTable.bootID
  }

  /// Sends a signal to this very process; false when it is gone, and then no other process is touched.
  ///
  /// Between the check and the signal lie microseconds; the kernel gives a number out again only after all others.
  @discardableResult
  func signal(_ number: Int32) throws(LabError) -> Bool {
    guard isAlive else { return false }
    if kill(pid, number) == 0 { return true }
    if errno == ESRCH { return false }
    throw LabError(.systemCall, "cannot signal process \(pid) (\(String(cString: strerror(errno))))")
  }

  /// Asks it to end with `signals` in turn, each given `grace` to work, then kills it.
  ///
  /// Returns when it is gone.
  func end(by signals: [Int32], grace: Duration) async throws {
    for number in signals {
      guard try signal(number) else { return }
      if try await Waiting.succeeds(within: grace, { !isAlive }) { return }
    }
    guard try signal(SIGKILL) else { return }
    try await Waiting.until("the end of process \(pid) after SIGKILL", within: .seconds(20)) { !isAlive }
  }
}

/// What /proc tells of the processes of this machine.
enum ProcessTable {
  struct State {
    var letter: Character
    var parent: Int32
    var startTicks: UInt64

    /// A zombie holds a number and nothing else.
    var hasEnded: Bool { letter == "Z" || letter == "X" }
  }

  /// Which start of the machine this is.
  static let bootID: String? = Files.text("/proc/sys/kernel/random/boot_id").map {
    String($0.prefix { !$0.isNewline })
  }

  /// All processes now.
  static func pids() -> [Int32] {
    guard let folder = opendir("/proc") else { return [] }
    defer { closedir(folder) }
    var found: [Int32] = []
    while let entry = readdir(folder) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if let pid = Int32(name) { found.append(pid) }
    }
    return found
  }

  /// One line of /proc/PID/stat; nil when there is no such process.
  static func state(of pid: Int32) -> State? {
    // The second field is the program's name in parentheses, which may itself hold any character.
    guard let text = Files.text("/proc/\(pid)/stat"), let end = text.lastIndex(of: ")") else { return nil }
    let fields = text[text.index(after: end)...].split(whereSeparator: \.isWhitespace)
    guard fields.count > 19, let letter = fields[0].first, let parent = Int32(fields[1]), let start = UInt64(fields[19])
    else { return nil }
    return State(letter: letter, parent: parent, startTicks: start)
  }

  /// Those started with `name=value` in their environment.
  static func pids(withEnvironment name: String, _ value: String) -> [Int32] {
    let wanted = Array("\(name)=\(value)".utf8)
    return pids().filter { pid in
      guard let environment = Files.bytes("/proc/\(pid)/environ") else { return false }
      return environment.split(separator: 0).contains { $0.elementsEqual(wanted) }
    }
  }

  /// Those whose command line, joined by spaces, is one that `isWanted`.
  static func pids(withTitle isWanted: (String) -> Bool) -> [Int32] {
    pids().filter { pid in
      guard let line = Files.bytes("/proc/\(pid)/cmdline"), !line.isEmpty else { return false }
      return isWanted(String(decoding: line.map { $0 == 0 ? 32 : $0 }, as: UTF8.self))
    }
  }

  /// The children of a process, theirs, and so on.
  static func descendants(of root: Int32) -> [Int32] {
    var children: [Int32: [Int32]] = [:]
    for pid in pids() {
      if let parent = state(of: pid)?.parent { children[parent, default: []].append(pid) }
    }
    var found: [Int32] = []
    var rest = children[root] ?? []
    while let next = rest.popLast() {
      found.append(next)
      rest += children[next] ?? []
    }
    return found
  }

  /// The PID namespace of a process, as the kernel names it.
  static func namespace(of pid: Int32) -> String? {
    namespace(at: "/proc/\(pid)/ns/pid")
  }

  /// The name of the namespace that a link of /proc leads to.
  fileprivate static func namespace(at link: String) -> String? {
    var buffer = [CChar](repeating: 0, count: 64)
    let count = readlink(link, &buffer, buffer.count - 1)
    guard count > 0 else { return nil }
    return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Everything that runs in a PID namespace.
  static func pids(inNamespace name: String) -> [Int32] {
    pids().filter { namespace(of: $0) == name && state(of: $0)?.hasEnded == false }
  }

  /// The number that a process has inside its own namespace.
  static func innerPid(of pid: Int32) -> Int32? {
    let line = Files.text("/proc/\(pid)/status")?.split(separator: "\n").first { $0.hasPrefix("NSpid:") }
    return line?.split(whereSeparator: \.isWhitespace).last.flatMap { Int32($0) }
  }

  /// Kills what `find` finds until it finds nothing: a process may fork between the look and the signal.
  static func killAll(_ what: String, find: () -> [Int32]) async throws {
    try await Waiting.until("the end of \(what)", within: .seconds(20)) {
      let found = find().compactMap { ProcessIdentity(pid: $0) }.filter { $0.pid != getpid() && $0.isAlive }
      for process in found { _ = kill(process.pid, SIGKILL) }
      return found.isEmpty
    }
  }
}

/// Holds a PID namespace, so that the kernel gives its name to no other one meanwhile, even after all in it have ended.
struct HeldNamespace: ~Copyable {
  /// As the kernel names it.
  let name: String
  private let file: Int32

  /// The namespace of a process; nil when the process is gone.
  init?(of pid: Int32) {
    file = open("/proc/\(pid)/ns/pid", O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    guard let name = ProcessTable.namespace(at: "/proc/self/fd/\(file)") else {
      close(file)
      return nil
    }
    self.name = name
  }

  deinit { close(file) }

  /// Everything that runs in it.
  var pids: [Int32] { ProcessTable.pids(inNamespace: name) }

  /// Kills everything that runs in it, and returns when nothing does.
  func killAll(_ what: String) async throws {
    let name = name
    try await ProcessTable.killAll(what) { ProcessTable.pids(inNamespace: name) }
  }
}
