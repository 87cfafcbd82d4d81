import Domain
import Glibc

/// One node of a lab: a real sshd on an address of its own, with a disk of its own.
///
/// With root a node has its own PID, mount, IPC and host name spaces and a disk that is a file system of its size.
/// Without root it is a group of marked processes, and the limit of its disk is an agreement. In a lab with a network
/// (`LabSettings.network`) it also has a network of its own, and a link that can fail.
public struct LabNode: Sendable {
  /// What a controller has to know to use the node.
  public struct Description: Sendable, Hashable, Codable {
    /// Its name, `n1` and so on; also its host name.
    public var name: String
    /// Its IPv4 address, 127.0.1.N, or one of the lab's network.
    public var address: String
    /// The port of its sshd.
    public var port: Int
    /// Whom its sshd lets in.
    public var user: String
    /// Type and key of its host key, as in `ssh-ed25519 AAAA...`.
    public var hostPublicKey: String
    /// The folder that is its disk: everything below goes when the node is taken away.
    public var rootPath: String
  }

  /// How a node answers.
  public enum State: String, Sendable, Hashable, Codable {
    /// sshd greets.
    case running
    /// The node runs but refuses connections, or its link is cut.
    case refusing
    /// Connections are accepted and nothing is said.
    case hanging
    /// No process of it runs.
    case down
  }

  /// Its name.
  public let name: String
  let file: LabRecordFile

  init(name: String, file: LabRecordFile) {
    self.name = name
    self.file = file
  }

  /// What a controller has to know to use the node.
  ///
  /// Throws when the node was never booted.
  public var description: Description {
    get throws {
      let (_, node) = try recorded()
      return Description(
        name: name, address: node.address, port: node.port, user: try Account.current().name,
        hostPublicKey: try Keys.publicKey(layout.hostPublicKey), rootPath: layout.disk)
    }
  }

  /// How the node answers now; takes up to half a second.
  public var state: State {
    get throws {
      let (record, node) = try recorded()
      if record.settings.network != nil, record.links?.isAlive != true {
        // Its address may be anybody's by now.
        return node.process?.isAlive == true ? .refusing : .down
      }
      switch Ports.greeting(node.address, node.port, patience: .milliseconds(500)) {
      case .some(let words) where words.hasPrefix("SSH-"): return .running
      case .some: return .hanging
      case nil:
        let alive = record.isolation == .namespaces && node.process?.isAlive == true
        return alive ? .refusing : .down
      }
    }
  }

  /// Starts the node and returns when its sshd greets; a running node is success, a faulty one is mended.
  ///
  /// The disk is as it was left, empty the first time. Takes back `refuseSSH`, `hangSSH`, `freeze`, `stallDisk` and
  /// `slowDisk`.
  public func boot() async throws {
    try await exclusively { try await bootLocked() }
  }

  /// Kills everything on the node without warning, as a power cut does.
  ///
  /// Its disk keeps its content; it stays down.
  public func crash() async throws {
    try await exclusively { try await killLocked() }
  }

  /// Takes the node away from whoever uses it, as bare metal does when a lease ends.
  ///
  /// Kills everything on it, destroys the content of its disk, boots it again with the same host key. When it
  /// throws, the node may be down; calling it again carries on.
  public func revoke() async throws {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    try await revoke(cleanSince: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)
  }

  /// As `revoke`, then notes that the disk holds nothing from before `cleanSince` (microseconds since 1970).
  func revoke(cleanSince: Int64) async throws {
    try await exclusively {
      try await killLocked()
      try await disk().wipe()
      try await bootLocked()
      try file.updateNode(name) { $0.cleanSince = cleanSince }
    }
  }

  /// Kills everything on the node and gives its disk back to the machine.
  func remove() async throws {
    try await exclusively {
      try await killLocked()
      try await disk().wipe()
    }
  }

  // MARK: - Parts that faults use too

  var layout: NodeLayout { file.layout.node(name) }

  func recorded() throws(LabError) -> (LabRecord, LabRecord.Node) {
    let record = try file.read()
    guard let node = record.nodes.first(where: { $0.name == name }) else {
      throw LabError(
        .unknownNode, "the lab has no node '\(name)'",
        advice: "its nodes are \(record.nodes.map(\.name).joined(separator: ", "))")
    }
    return (record, node)
  }

  /// Keeps other processes (the warden, another CLI) from changing the node during `body`.
  func exclusively<T>(_ body: () async throws -> T) async throws -> T {
    try Files.makeFolder(layout.folder)
    return try await Waiting.locked(layout.lock, body)
  }

  func disk() throws(LabError) -> NodeDisk {
    let record = try file.read()
    return NodeDisk(
      layout: layout, source: record.mountSource(of: name), size: record.settings.diskSize.bytes,
      isolation: record.isolation, kind: record.settings.disk ?? .memory)
  }

  func bootLocked() async throws {
    let (record, node) = try recorded()
    try await disk().recover()
    try await disk().prepare()
    let key = try Keys.publicKey(file.layout.sshPublicKey)
    try await NodeFiles(record: record, node: node, layout: layout, authorizedKey: key + "\n").write()
    var running = node.process
    if let process = node.process, process.isAlive {
      try await thaw()
      try await openListener(process, isolation: record.isolation)
    } else {
      try await ProcessTable.killAll("what is left of node \(name)") { leftovers(record) }
      // A number of the last boot may be anybody's in this one.
      try Files.remove(layout.pidFile)
      let process = try command(record).startDaemon(log: layout.log)
      try file.updateNode(name) { $0.process = process }
      running = process
    }
    try await waitUntilItGreets(node, running)
  }

  /// The sshd that accepts connections, not those of sessions; nil when it does not run.
  func listener() throws(LabError) -> ProcessIdentity? {
    let (record, node) = try recorded()
    guard let process = node.process, process.isAlive else { return nil }
    if record.isolation == .marked { return process }
    guard let text = Files.text(layout.pidFile), let inner = Int32(text.filter(\.isNumber)) else { return nil }
    let pid = members(process).first { ProcessTable.innerPid(of: $0) == inner }
    return pid.flatMap { ProcessIdentity(pid: $0) }
  }

  /// All processes of the node, by their numbers on the machine.
  public func processes() throws(LabError) -> [Int32] {
    let (record, node) = try recorded()
    guard let process = node.process, process.isAlive else { return marked(record) + servers() }
    return Array(Set(members(process) + (record.isolation == .marked ? marked(record) : [])))
  }

  /// The processes that bear the node's mark.
  private func marked(_ record: LabRecord) -> [Int32] {
    ProcessTable.pids(withEnvironment: "BATON_LAB_NODE", "\(record.id)/\(name)")
  }

  /// The node's sshd and its sessions: sshd writes its title over its environment, and the mark is lost.
  private func servers() -> [Int32] {
    let found = ProcessTable.pids { title in
      title.hasPrefix("sshd: ") && title.contains(" \(layout.serverConfiguration) ")
    }
    return found + found.flatMap { ProcessTable.descendants(of: $0) }
  }

  /// What a boot must end first, when no process of the node is written down.
  private func leftovers(_ record: LabRecord) -> [Int32] {
    // Without name spaces what sessions started may go on while sshd is away.
    record.isolation == .namespaces ? marked(record) : servers()
  }

  /// Everything below the process that was recorded for the node, itself included where there are no name spaces.
  private func members(_ process: ProcessIdentity) -> [Int32] {
    guard let space = innerNamespace(process) else { return [process.pid] + ProcessTable.descendants(of: process.pid) }
    return space.pids
  }

  /// The PID namespace below the recorded process; nil when it has none of its own.
  private func innerNamespace(_ process: ProcessIdentity) -> HeldNamespace? {
    let own = ProcessTable.namespace(of: process.pid)
    for pid in ProcessTable.descendants(of: process.pid) {
      if let space = HeldNamespace(of: pid), space.name != own { return space }
    }
    return nil
  }

  private func command(_ record: LabRecord) throws(LabError) -> Command {
    let server = try Programs.find("sshd", package: "openssh-server")
    guard record.isolation == .namespaces else {
      let options = ["-D", "-f", layout.serverConfiguration, "-E", layout.log]
      return Command(server, options, environment: record.environment(ofNode: name))
    }
    // sshd of root insists on this folder, which only a system start makes.
    try Files.makeFolder("/run/sshd")
    let spaces = ["--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--mount-proc"]
    let command = Command(
      try Programs.find("unshare", package: "util-linux"), spaces + [layout.bootScript],
      environment: record.environment(ofNode: name))
    return try onLink(command, record)
  }

  private func openListener(_ process: ProcessIdentity, isolation: LabRecord.Isolation) async throws {
    guard try listener() == nil, isolation == .namespaces else { return }
    // Process 1 of the node starts sshd on this signal; it is the first child of the outer process.
    guard let first = members(process).first(where: { ProcessTable.innerPid(of: $0) == 1 }) else { return }
    try ProcessIdentity(pid: first)?.signal(SIGUSR1)
  }

  private func waitUntilItGreets(_ node: LabRecord.Node, _ process: ProcessIdentity?) async throws {
    let log = layout.log
    try await Waiting.until(
      "node \(name) to answer on \(node.address):\(node.port)", within: .seconds(30), advice: "read \(log)"
    ) {
      guard process?.isAlive == true else {
        let words = (Files.text(log) ?? "").suffix(1000)
        throw LabError(.programFailed, "node \(name) ended while booting: \(words)", advice: "read \(log)")
      }
      // Nobody hears one that is cut off: that its server listens has to do.
      if try isCutOff { return try listener() != nil }
      return Ports.greeting(node.address, node.port, patience: .seconds(1))?.hasPrefix("SSH-") == true
    }
  }

  private func killLocked() async throws {
    let (record, node) = try recorded()
    // Nothing dies that waits for a disk.
    try await disk().recover()
    if let process = node.process, process.isAlive {
      // Read before anything dies: afterwards nothing tells which name space it was.
      if let space = innerNamespace(process) {
        try await space.killAll("node \(name)")
      } else {
        let members = self.members(process).compactMap { ProcessIdentity(pid: $0) }
        for member in members { try member.signal(SIGKILL) }
        try await Waiting.until("the end of node \(name)", within: .seconds(20)) { !members.contains(where: \.isAlive) }
      }
      try await process.end(by: [], grace: .zero)
    }
    // Without name spaces a process that left its parents is known by its mark alone.
    try await ProcessTable.killAll("node \(name)") { marked(record) + servers() }
    try await disk().forgetPace()
    try file.updateNode(name) { $0.process = nil }
  }
}
