import Domain
import Glibc
import ObjectStorage
import Wire

/// What a node has seen, so that nobody who was replaced can command it; lost with the disk, as it should be.
struct NodeState: Hashable, Sendable, Codable {
  var protocolVersion = AgentProtocol.version
  /// The highest controller epoch.
  var controllerEpoch: Int64 = 0
  /// The highest attempt number of each job, by the job's id.
  var attemptNumbers: [String: Int] = [:]

  static func load(_ folder: NodeFolder) throws -> NodeState {
    guard Disk.status(folder.state) != nil else { return NodeState() }
    return try Codec.decode(NodeState.self, try Disk.readAll(folder.state))
  }

  func save(_ folder: NodeFolder) throws {
    try Disk.writeAtomically(try Codec.line(self), to: folder.state)
  }

  /// Notes an epoch; a text where it is older than one that was seen.
  mutating func admit(controllerEpoch epoch: Int64) -> String? {
    guard epoch >= controllerEpoch else {
      return "controller epoch \(epoch) is over: this node has seen \(controllerEpoch); "
        + "another controller acts now, this one has to stand by"
    }
    controllerEpoch = epoch
    return nil
  }

  /// Notes an order; a text where it is an older one.
  mutating func admit(_ order: AttemptOrder) -> String? {
    guard protocolVersion <= AgentProtocol.version else {
      return
        "this agent speaks protocol \(AgentProtocol.version), and a newer one (\(protocolVersion)) was here: push it again"
    }
    protocolVersion = AgentProtocol.version
    if let refusal = admit(controllerEpoch: order.controllerEpoch) { return refusal }
    let job = "\(order.job.rawValue)"
    let highest = attemptNumbers[job] ?? 0
    guard order.number >= highest else {
      return "attempt number \(order.number) of \(order.job) is over: this node has seen number \(highest)"
    }
    attemptNumbers[job] = order.number
    return nil
  }
}

/// An exclusive lock on a file, held while the value lives; the kernel frees it when the process dies.
struct FileLock: ~Copyable {
  private let file: Descriptor

  /// Waits for the lock.
  init(_ path: String) throws(SystemError) {
    let file = try Disk.open(path, O_RDWR | O_CREAT, mode: 0o600)
    while flock(file.raw, LOCK_EX) != 0 {
      if errno != EINTR { throw SystemError("cannot lock", path, errno: errno) }
    }
    self.file = file
  }
}
