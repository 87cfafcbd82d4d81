public import Domain
import Postgres

/// A machine as it is when it is added.
public struct NewNode: Hashable, Sendable {
  /// Unique at the site.
  public var name: String
  /// Where its SSH server listens.
  public var address: String
  /// On which port.
  public var port: Int
  /// As whom to log in.
  public var sshUser: String
  /// Its host key, `ssh-ed25519 AAAA...`: no other is accepted from it.
  public var hostKey: String
  /// The folder on it below which everything of Baton lies; absolute.
  public var rootPath: String
  /// Its class, as in `gpu_a100`.
  public var nodeType: String

  /// A node.
  public init(
    name: String, address: String, port: Int = 22, sshUser: String, hostKey: String, rootPath: String,
    nodeType: String = "default"
  ) {
    self.name = name
    self.address = address
    self.port = port
    self.sshUser = sshUser
    self.hostKey = hostKey
    self.rootPath = rootPath
    self.nodeType = nodeType
  }
}

/// A device of a node.
public struct GPURecord: Hashable, Sendable {
  /// Its index on the node.
  public var index: Int
  /// Its model, as in `NVIDIA A100-SXM4-40GB`.
  public var model: String
  /// Its memory.
  public var memory: ByteCount
  /// What its maker calls it.
  public var uuid: String
  /// No hardware is behind it: a lab says it is there.
  public var isStandIn: Bool

  /// A device.
  public init(index: Int, model: String, memory: ByteCount, uuid: String, isStandIn: Bool = false) {
    self.index = index
    self.model = model
    self.memory = memory
    self.uuid = uuid
    self.isStandIn = isStandIn
  }

  init(row: Row) throws {
    index = try row.get("gpu_index")
    model = try row.get("model")
    memory = try row.get("memory_bytes")
    uuid = try row.get("uuid")
    isStandIn = try row.get("is_stand_in")
  }
}

/// What a probe found on a node.
public struct NodeFacts: Hashable, Sendable {
  /// Size of the disk below its root path.
  public var diskTotal: ByteCount
  /// Room on it.
  public var diskFree: ByteCount
  /// Processor cores.
  public var cores: Int
  /// Main memory.
  public var memory: ByteCount
  /// The version of the agent on it; nil where there is none.
  public var agentVersion: String?
  /// Its devices.
  public var gpus: [GPURecord]
  /// Whatever else; for people.
  public var other: [String: String]

  /// What was found.
  public init(
    diskTotal: ByteCount, diskFree: ByteCount, cores: Int, memory: ByteCount, agentVersion: String? = nil,
    gpus: [GPURecord] = [], other: [String: String] = [:]
  ) {
    self.diskTotal = diskTotal
    self.diskFree = diskFree
    self.cores = cores
    self.memory = memory
    self.agentVersion = agentVersion
    self.gpus = gpus
    self.other = other
  }
}

/// A machine as Baton knows it.
public struct NodeRecord: Hashable, Sendable {
  /// Which.
  public var id: NodeID
  /// How to reach it, and what it is.
  public var request: NewNode
  /// Its life.
  public var state: NodeState
  /// Nothing new is placed on it.
  public var isDrained: Bool
  /// Why, as whoever drained it said.
  public var drainReason: String?
  /// What the last probe found; zeros before the first.
  public var facts: NodeFacts
  /// When it last answered.
  public var lastSeenAt: Timestamp?
  /// When it was added.
  public var addedAt: Timestamp
  /// What a probe that is asked now has to name, for what it finds of replicas to be written down.
  public var replicasRevision: ReplicasRevision

  init(row: Row, gpus: [GPURecord]) throws {
    id = try row.get("id")
    request = NewNode(
      name: try row.get("name"), address: try row.get("address"), port: try row.get("port"),
      sshUser: try row.get("ssh_user"), hostKey: try row.get("host_key"), rootPath: try row.get("root_path"),
      nodeType: try row.get("node_type"))
    state = try row.get("state")
    isDrained = try row.get("drained")
    drainReason = try row.get("drain_reason")
    facts = NodeFacts(
      diskTotal: try row.get("disk_total"), diskFree: try row.get("disk_free"), cores: try row.get("cores"),
      memory: try row.get("memory_bytes"), agentVersion: try row.get("agent_version"), gpus: gpus,
      other: try row.json("facts"))
    lastSeenAt = try row.get("last_seen_at")
    addedAt = try row.get("added_at")
    replicasRevision = try row.get("replicas_revision")
  }
}
