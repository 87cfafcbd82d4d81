/// Where a job stands.
///
/// Slurm's words, plus those that a life over several leases needs.
public enum JobState: String, StateMachine, Codable {
  /// Waits for nodes. Becomes STAGING when placed, LEASE_WAIT when a checkpoint of it is found, HELD by a person,
  /// FAILED when Baton gives up on it, CANCELLED.
  case pending = "PENDING"
  /// Kept out of scheduling by a person, or because its nodes were lost again and again. Becomes PENDING or LEASE_WAIT
  /// when released, FAILED when what it was to resume from is of no use any more, CANCELLED.
  case held = "HELD"
  /// Its nodes fetch data and the checkpoint to resume from.
  case staging = "STAGING"
  /// Every node is staged; the ranks are being started.
  case launching = "LAUNCHING"
  /// The ranks run.
  case running = "RUNNING"
  /// The program was told to save and leave, and its last checkpoint is on the way to the store.
  case checkpointing = "CHECKPOINTING"
  /// Between leases: to be continued from its latest checkpoint. Scheduled like PENDING.
  case leaseWait = "LEASE_WAIT"
  /// Every rank ended with 0.
  case completed = "COMPLETED"
  /// The program failed, or Baton gave up on it; the reason says which.
  case failed = "FAILED"
  /// Its own time limit ran out.
  case timeout = "TIMEOUT"
  /// A person ended it.
  case cancelled = "CANCELLED"

  /// What may follow, as each case's comment tells.
  ///
  /// Every state with an attempt can fall back to LEASE_WAIT: the nodes can go at any moment. It can also fall back
  /// to PENDING: an attempt that ends before anything was saved starts from the beginning; and to HELD, where nodes are
  /// lost again and again.
  public var successors: Set<JobState> {
    switch self {
    // A checkpoint that nobody had heard of may be found in the store after the attempt is over.
    case .pending: [.staging, .leaseWait, .held, .cancelled, .failed]
    case .leaseWait: [.staging, .held, .cancelled, .failed]
    case .held: [.pending, .leaseWait, .cancelled, .failed]
    case .staging: [.launching, .pending, .leaseWait, .held, .failed, .cancelled, .timeout]
    case .launching: [.running, .checkpointing, .pending, .leaseWait, .held, .completed, .failed, .cancelled, .timeout]
    case .running: [.checkpointing, .pending, .leaseWait, .held, .completed, .failed, .cancelled, .timeout]
    case .checkpointing: [.pending, .leaseWait, .held, .completed, .failed, .cancelled, .timeout]
    case .completed, .failed, .timeout, .cancelled: []
    }
  }

  /// Whether the planner should look for nodes for it.
  public var isWaiting: Bool { self == .pending || self == .leaseWait }

  /// Whether it has an attempt on nodes.
  public var hasAttempt: Bool {
    switch self {
    case .staging, .launching, .running, .checkpointing: true
    default: false
    }
  }
}

/// Where one execution of a job stands.
public enum AttemptState: String, StateMachine, Codable {
  /// Its nodes fetch data.
  case staging = "STAGING"
  /// All nodes are staged; ranks are being started.
  case launching = "LAUNCHING"
  /// Ranks run.
  case running = "RUNNING"
  /// Told to save and leave.
  case checkpointing = "CHECKPOINTING"
  /// Over; the outcome beside it says how.
  case ended = "ENDED"

  /// Forward only: nothing about an attempt ever comes back.
  public var successors: Set<AttemptState> {
    switch self {
    case .staging: [.launching, .ended]
    case .launching: [.running, .checkpointing, .ended]
    case .running: [.checkpointing, .ended]
    case .checkpointing: [.ended]
    case .ended: []
    }
  }
}

/// How an attempt ended.
public enum AttemptOutcome: String, Hashable, Sendable, Codable, CaseIterable {
  /// Every rank ended with 0.
  case completed = "COMPLETED"
  /// A rank failed by itself.
  case failed = "FAILED"
  /// The program saved and asked to be continued (85 or 99).
  case saved = "SAVED"
  /// The program asked to be tried elsewhere (75).
  case elsewhere = "ELSEWHERE"
  /// The lease ended under it.
  case leaseEnded = "LEASE_ENDED"
  /// A person ended it.
  case cancelled = "CANCELLED"
  /// The job's own time limit ran out.
  case timeout = "TIMEOUT"
  /// Data or checkpoint could not be brought to the nodes.
  case stagingFailed = "STAGING_FAILED"
  /// The ranks could not be started.
  case launchFailed = "LAUNCH_FAILED"
  /// The nodes are gone and said nothing more.
  case lost = "LOST"
}

/// Where a lease stands: Blazar's words, plus ENDING.
public enum LeaseState: String, StateMachine, Codable {
  /// Not begun. Becomes ACTIVE at its start, TERMINATED when deleted.
  case pending = "PENDING"
  /// Its nodes can be used.
  case active = "ACTIVE"
  /// Its end is near: nothing new starts on it, and what runs saves.
  case ending = "ENDING"
  /// Over; its nodes are gone.
  case terminated = "TERMINATED"
  /// The provider could not give what it promised.
  case error = "ERROR"

  /// As each case tells; an extension brings ENDING back to ACTIVE.
  public var successors: Set<LeaseState> {
    switch self {
    case .pending: [.active, .terminated, .error]
    case .active: [.ending, .terminated, .error]
    case .ending: [.active, .terminated, .error]
    case .terminated, .error: []
    }
  }
}

/// What is known of a node's life.
///
/// OAR's words; whether it is drained is a flag beside it.
public enum NodeState: String, StateMachine, Codable {
  /// Answered the last probe.
  case alive = "ALIVE"
  /// Did not answer; nothing on it is ended for that.
  case suspect = "SUSPECT"
  /// Has not answered for long; no attempt is placed on it.
  case dead = "DEAD"
  /// Not in anyone's hands: never probed, or taken out.
  case absent = "ABSENT"

  /// Any answer makes it alive; silence leads down the list.
  public var successors: Set<NodeState> {
    switch self {
    case .alive: [.suspect, .absent]
    case .suspect: [.alive, .dead, .absent]
    case .dead: [.alive, .absent]
    case .absent: [.alive, .suspect]
    }
  }
}

/// Where one checkpoint stands.
public enum CheckpointState: String, StateMachine, Codable {
  /// Complete on the node, nowhere else.
  case local = "LOCAL"
  /// On the way to the store.
  case uploading = "UPLOADING"
  /// In the store, read back, equal to its manifest.
  case durable = "DURABLE"
  /// In the store, but not what its manifest says.
  case corrupt = "CORRUPT"
  /// Removed from the store on purpose.
  case pruned = "PRUNED"

  /// As each case tells; only DURABLE can be resumed from.
  public var successors: Set<CheckpointState> {
    switch self {
    case .local: [.uploading, .durable, .corrupt, .pruned]
    case .uploading: [.durable, .corrupt, .pruned]
    case .durable: [.corrupt, .pruned]
    case .corrupt: [.pruned]
    case .pruned: []
    }
  }
}
