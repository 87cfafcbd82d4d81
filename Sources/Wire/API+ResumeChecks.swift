public import Domain

/// `POST /runs/{run}/resume-checks`: replay the steps after a checkpoint, twice, and compare them with the original.
public struct ResumeCheckRequest: Hashable, Sendable, Codable {
  /// The step of the checkpoint.
  public var step: Int
  /// How many steps after it.
  public var steps: Int
  /// By which metric; nil for the loss, else the first.
  public var metric: String?
  /// So much of the greater of two values they may differ by; nil for not at all.
  public var tolerance: Double?

  /// A wish for a proof.
  public init(step: Int, steps: Int, metric: String? = nil, tolerance: Double? = nil) {
    self.step = step
    self.steps = steps
    self.metric = metric
    self.tolerance = tolerance
  }
}

/// A proof that a run goes on from a checkpoint as it did, and what came of it.
public struct ResumeCheckView: Hashable, Sendable, Codable {
  /// Its id.
  public var id: ResumeCheckID
  /// The run that it is about.
  public var run: RunID
  /// From which checkpoint.
  public var checkpoint: CheckpointID
  /// Number of the attempt that saved that, and went on.
  public var attemptNumber: Int
  /// After which step that was.
  public var step: Int
  /// How many steps after it are compared.
  public var steps: Int
  /// By which metric.
  public var metric: String
  /// What they may differ by, as a share of the greater of two values.
  public var tolerance: Double
  /// The two jobs that replay.
  public var replays: [Replay]
  /// Who wanted it.
  public var requestedBy: String
  /// When.
  public var createdAt: Timestamp
  /// What came of it; nil while it is under way.
  public var verdict: ResumeVerdict?
  /// When that was known.
  public var endedAt: Timestamp?

  /// A job that replays.
  public struct Replay: Hashable, Sendable, Codable {
    /// Which.
    public var job: JobID
    /// Where it stands.
    public var state: JobState
    /// Why, in one word.
    public var reason: String?

    /// A job that replays.
    public init(job: JobID, state: JobState, reason: String?) {
      self.job = job
      self.state = state
      self.reason = reason
    }
  }

  /// A proof.
  public init(
    id: ResumeCheckID, run: RunID, checkpoint: CheckpointID, attemptNumber: Int, step: Int, steps: Int, metric: String,
    tolerance: Double, replays: [Replay], requestedBy: String, createdAt: Timestamp, verdict: ResumeVerdict?,
    endedAt: Timestamp?
  ) {
    self.id = id
    self.run = run
    self.checkpoint = checkpoint
    self.attemptNumber = attemptNumber
    self.step = step
    self.steps = steps
    self.metric = metric
    self.tolerance = tolerance
    self.replays = replays
    self.requestedBy = requestedBy
    self.createdAt = createdAt
    self.verdict = verdict
    self.endedAt = endedAt
  }
}
