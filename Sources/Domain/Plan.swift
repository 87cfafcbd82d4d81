/// Which GPUs of which nodes, in rank order.
public struct Placement: Hashable, Sendable, Codable {
  /// One node of a placement.
  public struct Share: Hashable, Sendable, Codable {
    /// The node; node rank is the position in `shares`.
    public var node: NodeID
    /// Indices of its GPUs, ascending.
    public var gpus: [Int]

    /// `gpus` of `node`.
    public init(node: NodeID, gpus: [Int]) {
      self.node = node
      self.gpus = gpus
    }
  }

  /// The nodes, in rank order; no node twice.
  public var shares: [Share]

  /// A placement on `shares`.
  public init(shares: [Share]) { self.shares = shares }

  /// The nodes, in rank order.
  public var nodes: [NodeID] { shares.map(\.node) }
}

/// A start that was decided.
public struct Start: Hashable, Sendable, Codable {
  /// Which job.
  public var job: JobID
  /// In which lease.
  public var lease: LeaseID
  /// Where.
  public var placement: Placement

  /// Starts `job` in `lease` on `placement`.
  public init(job: JobID, lease: LeaseID, placement: Placement) {
    self.job = job
    self.lease = lease
    self.placement = placement
  }
}

/// What a scheduling round decided: a value; applying it is another's work.
public struct Plan: Hashable, Sendable {
  /// What starts now, in the order in which it was decided.
  public var starts: [Start]
  /// Why each other waiting job does not.
  public var refusals: [JobID: Refusal]
  /// When the answer may differ though nothing happened: the next start of a lease.
  public var wakeAt: Timestamp?

  /// A plan.
  public init(starts: [Start] = [], refusals: [JobID: Refusal] = [:], wakeAt: Timestamp? = nil) {
    self.starts = starts
    self.refusals = refusals
    self.wakeAt = wakeAt
  }
}

/// Why a job waits, lease by lease.
public struct Explanation: Hashable, Sendable, Codable {
  /// One lease and what it said.
  public struct Verdict: Hashable, Sendable, Codable {
    /// The lease.
    public var lease: LeaseID
    /// Its name.
    public var name: String
    /// Why not; nil where the job would start in it now.
    public var refusal: Refusal?

    /// `lease`, called `name`, says `refusal`.
    public init(lease: LeaseID, name: String, refusal: Refusal?) {
      self.lease = lease
      self.name = name
      self.refusal = refusal
    }
  }

  /// The job.
  public var job: JobID
  /// What stands in the queue's reason column; nil where it starts now.
  public var refusal: Refusal?
  /// Every lease that was looked at, by start.
  public var leases: [Verdict]
  /// How long it needs a lease to last, in the parts that make it up.
  public var needed: [Part]

  /// One addend of the time that a job needs.
  public struct Part: Hashable, Sendable, Codable {
    /// `staging`, `launch`, `restore`, `checkpoint interval`, `last save`, `minimum`.
    public var name: String
    /// How long.
    public var length: TimeSpan

    /// `name` takes `length`.
    public init(name: String, length: TimeSpan) {
      self.name = name
      self.length = length
    }
  }

  /// An explanation.
  public init(job: JobID, refusal: Refusal?, leases: [Verdict], needed: [Part]) {
    self.job = job
    self.refusal = refusal
    self.leases = leases
    self.needed = needed
  }
}
