public import Domain

/// `POST /leases`.
public struct LeaseRequest: Hashable, Sendable, Codable {
  /// Unique in the project while the lease is not over; nil lets the server choose.
  public var name: String?
  /// How many nodes; ignored where `nodeNames` names them.
  public var nodes: Int?
  /// Which nodes, by name.
  public var nodeNames: [String]?
  /// Only nodes of this type.
  public var nodeType: String?
  /// When it begins: ISO-8601 with offset, `now`, `now+10m`.
  ///
  /// Nil is now.
  public var start: String?
  /// When it ends: the same, or nil where `duration` says.
  public var end: String?
  /// How long: `30m`, `7d`.
  public var duration: String?

  /// A request; what is nil was not said.
  public init(
    name: String? = nil, nodes: Int? = nil, nodeNames: [String]? = nil, nodeType: String? = nil, start: String? = nil,
    end: String? = nil, duration: String? = nil
  ) {
    self.name = name
    self.nodes = nodes
    self.nodeNames = nodeNames
    self.nodeType = nodeType
    self.start = start
    self.end = end
    self.duration = duration
  }
}

/// `POST /leases/{lease}/extend`: exactly one of the two.
public struct LeaseExtension: Hashable, Sendable, Codable {
  /// By how long: `1d`.
  public var by: String?
  /// Until when.
  public var until: String?

  /// An extension.
  public init(by: String? = nil, until: String? = nil) {
    self.by = by
    self.until = until
  }
}

/// One lease.
public struct LeaseView: Hashable, Sendable, Codable {
  /// Its id.
  public var id: LeaseID
  /// Its name.
  public var name: String
  /// Whose.
  public var project: String
  /// Where it stands.
  public var state: LeaseState
  /// Something about it is not as promised.
  public var degraded: Bool
  /// From when.
  public var start: Timestamp
  /// Until when.
  public var end: Timestamp
  /// Its nodes.
  public var nodes: [NodeRef]
  /// Jobs with an attempt on it now.
  public var jobs: [JobID]
  /// What is being brought to its nodes ahead of the jobs that need it; nil for nothing.
  public var stagingAhead: [StagingAheadView]?

  /// A lease.
  public init(
    id: LeaseID, name: String, project: String, state: LeaseState, degraded: Bool, start: Timestamp, end: Timestamp,
    nodes: [NodeRef], jobs: [JobID], stagingAhead: [StagingAheadView]? = nil
  ) {
    self.id = id
    self.name = name
    self.project = project
    self.state = state
    self.degraded = degraded
    self.start = start
    self.end = end
    self.nodes = nodes
    self.jobs = jobs
    self.stagingAhead = stagingAhead
  }
}

/// A node, named.
public struct NodeRef: Hashable, Sendable, Codable {
  /// Its id.
  public var id: NodeID
  /// Its name.
  public var name: String

  /// A node, named.
  public init(id: NodeID, name: String) {
    self.id = id
    self.name = name
  }
}

/// `POST /nodes`.
public struct NodeRequest: Hashable, Sendable, Codable {
  /// Its name; unique.
  public var name: String
  /// Where its sshd listens.
  public var address: String
  /// On which port.
  public var port: Int
  /// As whom to log in.
  public var user: String
  /// Its host key as in `known_hosts`: `ssh-ed25519 AAAA...`.
  ///
  /// Nil asks the node, and returns the key for a person to check.
  public var hostKey: String?
  /// Class of machine.
  public var nodeType: String
  /// Folder on it that is Baton's.
  public var rootPath: String

  /// A node to add.
  public init(
    name: String, address: String, port: Int = 22, user: String, hostKey: String?, nodeType: String, rootPath: String
  ) {
    self.name = name
    self.address = address
    self.port = port
    self.user = user
    self.hostKey = hostKey
    self.nodeType = nodeType
    self.rootPath = rootPath
  }
}

/// Data that is being brought to a node before the job that needs it is there.
public struct StagingAheadView: Hashable, Sendable, Codable {
  /// The node.
  public var node: NodeRef
  /// For which job.
  public var job: JobID
  /// Names of the data sets.
  public var datasets: [String]
  /// In place.
  public var done: ByteCount
  /// Wanted.
  public var total: ByteCount
  /// Bytes a second; nil while nothing is known.
  public var rate: ByteCount?
  /// What is left at this rate; nil while nothing is known.
  public var eta: TimeSpan?

  /// `done` of `total` of `datasets`, for `job`, on `node`.
  public init(
    node: NodeRef, job: JobID, datasets: [String], done: ByteCount, total: ByteCount, rate: ByteCount? = nil,
    eta: TimeSpan? = nil
  ) {
    self.node = node
    self.job = job
    self.datasets = datasets
    self.done = done
    self.total = total
    self.rate = rate
    self.eta = eta
  }
}

extension StagingAheadView: CustomStringConvertible {
  /// `staging ahead mnist for job-17: 43 %, 12s left`.
  public var description: String {
    let percent = total > .zero ? Int(Double(done.bytes) / Double(total.bytes) * 100) : 0
    return "staging ahead \(datasets.joined(separator: ", ")) for \(job): \(percent) %"
      + (eta.map { ", \($0) left" } ?? "")
  }
}

/// One node.
public struct NodeView: Hashable, Sendable, Codable {
  /// Its id.
  public var id: NodeID
  /// Its name.
  public var name: String
  /// Where its sshd listens.
  public var address: String
  /// On which port.
  public var port: Int
  /// As whom Baton logs in.
  public var user: String
  /// Fingerprint of its pinned host key: `SHA256:...`.
  public var hostKeyFingerprint: String
  /// Class of machine.
  public var nodeType: String
  /// Its life.
  public var state: NodeState
  /// Why it is not alive, or drained.
  public var detail: String?
  /// Nothing new is placed on it.
  public var drained: Bool
  /// Its GPUs.
  public var gpus: [GPU]
  /// Processors.
  public var cores: Int?
  /// Main memory.
  public var memory: ByteCount?
  /// Size of its disk.
  public var diskTotal: ByteCount?
  /// Room on its disk.
  public var diskFree: ByteCount?
  /// When it last answered.
  public var lastSeen: Timestamp?
  /// The lease that holds it now; nil where that is another project's.
  public var lease: LeaseID?
  /// The job with an attempt on it now; nil where that is another project's.
  public var job: JobID?
  /// Another project's lease holds it now, and whoever asks may not see which.
  public var heldByOthers: Bool
  /// Versions of what is on it.
  public var software: [String: String]
  /// What is being brought to it ahead of the job that needs it; nil for nothing.
  public var stagingAhead: StagingAheadView?

  /// One GPU.
  public struct GPU: Hashable, Sendable, Codable {
    /// Position.
    public var index: Int
    /// Model.
    public var model: String
    /// Memory.
    public var memory: ByteCount
    /// A lab only says that it is there.
    public var isStandIn: Bool

    /// One GPU.
    public init(index: Int, model: String, memory: ByteCount, isStandIn: Bool) {
      self.index = index
      self.model = model
      self.memory = memory
      self.isStandIn = isStandIn
    }
  }

  /// A node.
  public init(
    id: NodeID, name: String, address: String, port: Int, user: String, hostKeyFingerprint: String, nodeType: String,
    state: NodeState, detail: String?, drained: Bool, gpus: [GPU], cores: Int?, memory: ByteCount?,
    diskTotal: ByteCount?, diskFree: ByteCount?, lastSeen: Timestamp?, lease: LeaseID?, job: JobID?,
    heldByOthers: Bool = false, software: [String: String], stagingAhead: StagingAheadView? = nil
  ) {
    self.id = id
    self.name = name
    self.address = address
    self.port = port
    self.user = user
    self.hostKeyFingerprint = hostKeyFingerprint
    self.nodeType = nodeType
    self.state = state
    self.detail = detail
    self.drained = drained
    self.gpus = gpus
    self.cores = cores
    self.memory = memory
    self.diskTotal = diskTotal
    self.diskFree = diskFree
    self.lastSeen = lastSeen
    self.lease = lease
    self.job = job
    self.heldByOthers = heldByOthers
    self.software = software
    self.stagingAhead = stagingAhead
  }
}

/// `POST /nodes/{node}/check`: each step of reaching a node, in order, up to the first that failed.
public struct NodeCheck: Hashable, Sendable, Codable {
  /// One step.
  public struct Step: Hashable, Sendable, Codable {
    /// `login` (connection and host key too), `agent`, `probe`, `disk`, `clock`.
    public var name: String
    /// Whether it went well.
    public var passed: Bool
    /// What was found, or what is wrong and what to do.
    public var detail: String
    /// How long it took.
    public var took: TimeSpan

    /// One step.
    public init(name: String, passed: Bool, detail: String, took: TimeSpan) {
      self.name = name
      self.passed = passed
      self.detail = detail
      self.took = took
    }
  }

  /// The node.
  public var node: NodeView
  /// What was tried.
  public var steps: [Step]

  /// What a check found.
  public init(node: NodeView, steps: [Step]) {
    self.node = node
    self.steps = steps
  }
}
