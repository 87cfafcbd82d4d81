/// All that a scheduling decision may look at, as it was at one moment.
///
/// A value: no I/O hides behind it.
public struct ClusterSnapshot: Hashable, Sendable {
  /// Every known node.
  public var nodes: [NodeSnapshot]
  /// Every lease that is not over.
  public var leases: [LeaseSnapshot]
  /// Every job that waits or is held.
  public var waiting: [WaitingJob]
  /// Every attempt that is not over.
  public var attempts: [LiveAttempt]
  /// Every group that has a limit and jobs that are not over.
  public var groups: [GroupSnapshot]

  /// Puts a snapshot together; order does not matter to any decision.
  public init(
    nodes: [NodeSnapshot] = [], leases: [LeaseSnapshot] = [], waiting: [WaitingJob] = [], attempts: [LiveAttempt] = [],
    groups: [GroupSnapshot] = []
  ) {
    self.nodes = nodes
    self.leases = leases
    self.waiting = waiting
    self.attempts = attempts
    self.groups = groups
  }
}

/// A node as the planner sees it.
public struct NodeSnapshot: Hashable, Sendable {
  /// Which node.
  public var id: NodeID
  /// Its type, as in `gpu_a100`.
  public var nodeType: String
  /// Its life.
  public var state: NodeState
  /// Set by a person: nothing new is placed on it.
  public var isDrained: Bool
  /// Number of its GPUs, with indices 0 ..< gpuCount.
  public var gpuCount: Int
  /// Room on its local disk as last measured, less the reserve and what attempts that are STAGING may still write.
  public var diskFree: ByteCount
  /// What those may write beyond that: room that is made for them by evicting, or has been since it was measured.
  public var diskOwed: ByteCount
  /// Data set versions that it holds, verified.
  public var replicas: Set<DatasetVersionID>
  /// Copies that its agent gives up where a job has too little room: no attempt uses them, and nobody pinned them.
  public var evictable: [EvictableReplica]

  /// Puts a node together.
  public init(
    id: NodeID, nodeType: String = "default", state: NodeState = .alive, isDrained: Bool = false, gpuCount: Int = 1,
    diskFree: ByteCount = .gibibytes(100), diskOwed: ByteCount = .zero, replicas: Set<DatasetVersionID> = [],
    evictable: [EvictableReplica] = []
  ) {
    self.id = id
    self.nodeType = nodeType
    self.state = state
    self.isDrained = isDrained
    self.gpuCount = gpuCount
    self.diskFree = diskFree
    self.diskOwed = diskOwed
    self.replicas = replicas
    self.evictable = evictable
  }

  /// Room for who needs `kept` of what it holds: what is free, and what else can be evicted.
  public func room(keeping kept: Set<DatasetVersionID>) -> ByteCount {
    evictable.reduce(diskFree) { $1.versions.isDisjoint(with: kept) ? $0 + $1.size : $0 } - diskOwed
  }
}

/// A copy of a content on a node that can be evicted.
public struct EvictableReplica: Hashable, Sendable {
  /// Every version with this content: who needs one of them needs the copy.
  public var versions: Set<DatasetVersionID>
  /// What its files take.
  public var size: ByteCount

  /// A copy of `size` that is one of each of `versions`.
  public init(versions: Set<DatasetVersionID>, size: ByteCount) {
    self.versions = versions
    self.size = size
  }
}

/// A lease as the planner sees it.
public struct LeaseSnapshot: Hashable, Sendable {
  /// Which lease.
  public var id: LeaseID
  /// The name its owner gave it; unique in its project while it is not over.
  public var name: String
  /// Whose.
  public var project: ProjectID
  /// Where it stands.
  public var state: LeaseState
  /// From when to when.
  public var period: Period
  /// Its nodes.
  public var nodes: [NodeID]

  /// Puts a lease together.
  public init(
    id: LeaseID, name: String, project: ProjectID, state: LeaseState, period: Period, nodes: [NodeID]
  ) {
    self.id = id
    self.name = name
    self.project = project
    self.state = state
    self.period = period
    self.nodes = nodes
  }
}

/// A job that waits, as the planner sees it.
public struct WaitingJob: Hashable, Sendable {
  /// Which job.
  public var id: JobID
  /// Whose.
  public var project: ProjectID
  /// PENDING, LEASE_WAIT or HELD.
  public var state: JobState
  /// When it was submitted.
  public var submittedAt: Timestamp
  /// What it asks for.
  public var spec: JobSpec
  /// What it needs besides running: learned or assumed.
  public var needs: StartNeeds
  /// The group that it is of.
  public var group: JobGroupID?

  /// Puts a waiting job together.
  public init(
    id: JobID, project: ProjectID, state: JobState = .pending, submittedAt: Timestamp, spec: JobSpec,
    needs: StartNeeds = StartNeeds(), group: JobGroupID? = nil
  ) {
    self.id = id
    self.project = project
    self.state = state
    self.submittedAt = submittedAt
    self.spec = spec
    self.needs = needs
    self.group = group
  }
}

/// What an attempt of a job costs before, and after, it does anything useful.
public struct StartNeeds: Hashable, Sendable, Codable {
  /// Data set versions to stage, with their sizes.
  public var data: [DatasetVersionID: ByteCount]
  /// Size of the checkpoint it resumes from; zero at the first attempt.
  public var restore: ByteCount
  /// Room for checkpoints on the node: at least two, the one being written and the one before.
  public var checkpointRoom: ByteCount
  /// Rate at which data comes to a node, in bytes a second.
  public var stagingRate: Double
  /// From staged to the first step.
  public var launch: TimeSpan
  /// From SIGTERM to the last checkpoint DURABLE.
  public var lastSave: TimeSpan

  /// Assumptions for a job of which nothing is known yet: 50 MB/s, 5 s to launch, 10 s for the last save.
  public init(
    data: [DatasetVersionID: ByteCount] = [:], restore: ByteCount = .zero, checkpointRoom: ByteCount = .zero,
    stagingRate: Double = 50_000_000, launch: TimeSpan = .seconds(5), lastSave: TimeSpan = .seconds(10)
  ) {
    self.data = data
    self.restore = restore
    self.checkpointRoom = checkpointRoom
    self.stagingRate = stagingRate
    self.launch = launch
    self.lastSave = lastSave
  }
}

/// An attempt that is not over, as the planner sees it.
public struct LiveAttempt: Hashable, Sendable {
  /// Which attempt.
  public var id: AttemptID
  /// Of which job.
  public var job: JobID
  /// In which lease.
  public var lease: LeaseID
  /// The GPUs it holds, by node.
  ///
  /// An empty list holds no GPU, but keeps the node from who wants it whole.
  public var placement: Placement

  /// Puts an attempt together.
  public init(id: AttemptID, job: JobID, lease: LeaseID, placement: Placement) {
    self.id = id
    self.job = job
    self.lease = lease
    self.placement = placement
  }
}
