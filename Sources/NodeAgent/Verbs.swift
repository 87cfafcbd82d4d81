import CLinux
import Domain
import Glibc
import ObjectStorage
import Wire

/// The short verbs: each answers with one line.
struct Verbs {
  var node: NodeFolder

  /// Takes an order, and returns once a supervisor has accepted it.
  func start(_ input: [UInt8]) throws -> AgentReply {
    let receivedAt = BootInstant.now()
    struct Version: Decodable { var version: Int }
    let version = try Codec.decode(Version.self, input).version
    guard version == AgentProtocol.version else {
      return .refused("the order speaks protocol \(version), this agent \(AgentProtocol.version): push the agent again")
    }
    let order = try Codec.decode(AttemptOrder.self, input)
    if let refusal = Self.check(order) { return .refused(refusal) }
    let lock = try FileLock(node.lock)
    defer { withExtendedLifetime(lock) {} }
    if let refusal = try admit(order) { return .refused(refusal) }
    if let refusal = try killOlder(than: order) { return .refused(refusal) }

    let folder = node.attempt(order.attempt)
    if ProcessTable.supervisor(of: folder) != nil { return .ok }
    let history = try JournalFile.read(folder.journal).entries.map(\.event)
    if JournalFile.hasEnded(history) { return .ok }
    let left = ProcessTable.killRemains(of: folder)
    guard left.isEmpty else { return .refused("processes of the attempt would not die: \(left)") }
    if JournalFile.wasLaunched(history) {
      return .refused("\(order.attempt) was launched and lost its supervisor: purge it, and start a new attempt")
    }
    try Disk.makeFolders(folder.path, mode: 0o700)
    try Disk.writeAtomically(try Codec.line(order), to: folder.order)
    return try spawnSupervisor(folder, receivedAt: receivedAt)
  }

  /// Has what a dead supervisor left stored by a new one, once; its journal ends as any other.
  ///
  /// Refused where no rank was started: then nothing is lost.
  func rescue(_ attempt: AttemptID, _ input: [UInt8]) throws -> AgentReply {
    let receivedAt = BootInstant.now()
    let request = try Codec.decode(RescueRequest.self, input)
    let lock = try FileLock(node.lock)
    defer { withExtendedLifetime(lock) {} }
    if let refusal = Supervisor.admit(request.controllerEpoch, node) { return .refused(refusal) }
    let folder = node.attempt(attempt)
    guard Disk.status(folder.path) != nil else { return .refused("there is no \(attempt) on this node") }
    if ProcessTable.supervisor(of: folder) != nil { return .ok }
    let history = try JournalFile.read(folder.journal).entries.map(\.event)
    if JournalFile.hasEnded(history) { return .ok }
    guard let launch = history.firstIndex(where: { if case .launched = $0 { true } else { false } }) else {
      return .refused("no rank of \(attempt) was started, so it left nothing")
    }
    if history[launch...].contains(where: { if case .accepted = $0 { true } else { false } }) {
      return .refused("who was to store what \(attempt) left was killed too")
    }
    let left = ProcessTable.killRemains(of: folder)
    guard left.isEmpty else { return .refused("processes of the attempt would not die: \(left)") }
    var order = try Codec.decode(AttemptOrder.self, try Disk.readAll(folder.order))
    order.leaseRemaining = request.leaseRemaining
    try Disk.writeAtomically(try Codec.line(order), to: folder.order)
    return try spawnSupervisor(folder, receivedAt: receivedAt)
  }

  private static func check(_ order: AttemptOrder) -> String? {
    guard order.nodeAddresses.indices.contains(order.nodeRank), order.processesPerNode >= 1, !order.command.isEmpty
    else {
      return "the order makes no sense: node \(order.nodeRank) of \(order.nodeAddresses.count), "
        + "\(order.processesPerNode) ranks, \(order.command.count) words of command"
    }
    if let refusal = checkContentIDs(order.datasets) { return refusal }
    if let code = order.code, !code.folder.isEmpty, !CodeArchive.isInside(code.folder) {
      return "the code's folder '\(code.folder)' leads out of it"
    }
    let words = order.command + order.environment.flatMap { [$0.key, $0.value] }
    if words.contains(where: { $0.utf8.contains(0) }) { return "a word of the command or environment holds a NUL" }
    if let bad = order.environment.keys.first(where: { $0.isEmpty || $0.contains("=") }) {
      return "'\(bad)' is no name of a variable"
    }
    return nil
  }

  /// A content id becomes the name of a folder: a text where one is something else.
  static func checkContentIDs(_ datasets: [DatasetOrder]) -> String? {
    let isHash = { (text: String) in text.count == 64 && text.allSatisfy { $0.isASCII && $0.isHexDigit } }
    return datasets.first { !isHash($0.contentID) }.map {
      "the data set \($0.name) has '\($0.contentID)' for a content id, which is no SHA-256"
    }
  }

  private func admit(_ order: AttemptOrder) throws -> String? {
    let lock = try FileLock(node.state + ".lock")
    defer { withExtendedLifetime(lock) {} }
    var state = try NodeState.load(node)
    if let refusal = state.admit(order) { return refusal }
    try state.save(node)
    return nil
  }

  /// A job has one attempt: what is left of an older one on this node is killed.
  private func killOlder(than order: AttemptOrder) throws -> String? {
    for id in try node.knownAttempts() where id != order.attempt {
      let folder = node.attempt(id)
      guard let bytes = try? Disk.readAll(folder.order), let other = try? Codec.decode(AttemptOrder.self, bytes),
        other.job == order.job
      else { continue }
      let left = ProcessTable.killRemains(of: folder)
      if !left.isEmpty { return "processes of the older \(id) would not die: \(left)" }
    }
    return nil
  }

  private func spawnSupervisor(_ folder: AttemptFolder, receivedAt: BootInstant) throws -> AgentReply {
    var ends: [Int32] = [0, 0]
    if pipe2(&ends, O_CLOEXEC) != 0 { throw SystemError("cannot make", "a pipe", errno: errno) }
    let reader = Descriptor(owning: ends[0])
    let writer = ends[1]
    let spawn = Spawn(
      program: "/proc/self/exe",
      arguments: [
        "baton-agent", "supervise", "--root", node.root, "--attempt", "\(folder.id.rawValue)", "--received",
        "\(receivedAt.microseconds)",
      ],
      environment: Self.environment(), folder: "/", output: folder.supervisorLog, extra: writer)
    let result = Result { () throws(SystemError) in try spawn.start() }
    close(writer)
    _ = try result.get()
    // The supervisor writes a line once its journal says `accepted`, and closes its end in any case.
    guard waitReadable([reader.raw], until: .now() + .seconds(30))[0],
      try !Disk.readPipe(reader).isEmpty
    else {
      let log = (try? Disk.readAll(folder.supervisorLog)) ?? []
      let text = String(decoding: log.suffix(500), as: UTF8.self)
      return .refused("the supervisor did not come up: \(text.isEmpty ? "it said nothing" : text)")
    }
    return .ok
  }

  /// What the supervisor, and so the ranks, may know of who started it.
  private static func environment() -> [String: String] {
    var found: [String: String] = [:]
    for name in ["PATH", "HOME", "LANG", "USER"] {
      if let value = getenv(name) { found[name] = String(cString: value) }
    }
    return found
  }

  /// Passes a request on to a living supervisor.
  func control(_ attempt: AttemptID, _ input: [UInt8]) throws -> AgentReply {
    let request = try Codec.decode(ControlRequest.self, input)
    let folder = node.attempt(attempt)
    guard Disk.status(folder.path) != nil else { return .refused("there is no \(attempt) on this node") }
    if ProcessTable.supervisor(of: folder) != nil {
      do {
        return try ControlSocket.send(request, to: folder)
      } catch {
        // It may have come to its end at this moment, and answers nobody any more.
        guard try hasEnded(folder) else { throw error }
      }
    }
    if let refusal = Supervisor.admit(request.controllerEpoch, node) { return .refused(refusal) }
    guard try hasEnded(folder) else { return .refused("the supervisor of \(attempt) is gone: purge it") }
    if case .stop = request.command { return .ok }
    if case .kill = request.command { return .ok }
    return .refused("\(attempt) has ended")
  }

  private func hasEnded(_ folder: AttemptFolder) throws -> Bool {
    JournalFile.hasEnded(try JournalFile.read(folder.journal).entries.map(\.event))
  }

  /// The attempts that have a folder.
  func list() throws -> AttemptList {
    AttemptList(
      attempts: try node.knownAttempts().map { id in
        let folder = node.attempt(id)
        return AttemptList.Entry(
          attempt: id, isAlive: ProcessTable.supervisor(of: folder) != nil,
          hasEnded: JournalFile.hasEnded(try JournalFile.read(folder.journal).entries.map(\.event)))
      })
  }

  /// Kills what is left of an attempt and removes its folder; one that is not there is fine.
  func purge(_ attempt: AttemptID) throws -> AgentReply {
    let lock = try FileLock(node.lock)
    defer { withExtendedLifetime(lock) {} }
    let folder = node.attempt(attempt)
    let left = ProcessTable.killRemains(of: folder)
    guard left.isEmpty else { return .refused("processes of \(attempt) would not die: \(left)") }
    try MPISession(of: folder).remove()
    try Disk.removeTree(folder.path)
    return .ok
  }
}

extension Disk {
  /// What is in a pipe; empty at its end.
  static func readPipe(_ pipe: borrowing Descriptor) throws(SystemError) -> [UInt8] {
    let raw = pipe.raw
    var failure: Int32 = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: 1 << 16) { buffer, count in
      let got = Glibc.read(raw, buffer.baseAddress, buffer.count)
      failure = got < 0 ? errno : 0
      count = max(0, got)
    }
    if failure != 0 { throw SystemError("cannot read", "a pipe", errno: failure) }
    return bytes
  }
}
