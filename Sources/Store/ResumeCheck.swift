public import Domain
import Postgres

/// What a rank said about its state right after it had loaded a checkpoint.
public struct LoadedState: Hashable, Sendable {
  /// Which rank.
  public var rank: Int
  /// The step of the checkpoint, as the program knows it.
  public var step: Int64
  /// A word or a digest for each part of an ingredient.
  public var ingredients: [String: String]

  /// What `rank` said.
  public init(rank: Int, step: Int64, ingredients: [String: String]) {
    self.rank = rank
    self.step = step
    self.ingredients = ingredients
  }
}

/// A proof that somebody wants: that a run goes on from a checkpoint as it did.
public struct NewResumeCheck: Hashable, Sendable {
  /// From which checkpoint.
  public var checkpoint: CheckpointID
  /// How many steps after it are compared.
  public var steps: Int
  /// By which metric.
  public var metric: String
  /// So much of the greater of two values they may differ by; 0 for not at all.
  public var tolerance: Double
  /// What the program said about its state when it saved; nil for nothing.
  public var saved: IngredientReport?
  /// The two jobs that replay.
  public var replays: [JobSubmission]

  /// A proof by `replays`, of which there are two.
  public init(
    checkpoint: CheckpointID, steps: Int, metric: String, tolerance: Double, saved: IngredientReport?,
    replays: [JobSubmission]
  ) {
    self.checkpoint = checkpoint
    self.steps = steps
    self.metric = metric
    self.tolerance = tolerance
    self.saved = saved
    self.replays = replays
  }
}

/// A proof, and what came of it.
public struct ResumeCheckRecord: Hashable, Sendable {
  /// Which.
  public var id: ResumeCheckID
  /// The job whose run it is about.
  public var job: JobID
  /// From which checkpoint.
  public var checkpoint: CheckpointID
  /// The attempt that saved that.
  public var attempt: AttemptID
  /// After which step that was.
  public var step: Int64
  /// How many steps after it are compared.
  public var steps: Int
  /// By which metric.
  public var metric: String
  /// What they may differ by.
  public var tolerance: Double
  /// What the program said about its state when it saved.
  public var saved: IngredientReport?
  /// The two jobs that replay.
  public var replays: [JobID]
  /// Who wanted it.
  public var requestedBy: String
  /// When.
  public var createdAt: Timestamp
  /// What came of it; nil while it is under way.
  public var verdict: ResumeVerdict?
  /// When that was known.
  public var endedAt: Timestamp?

  /// The last step that is compared.
  public var lastStep: Int64 { step + Int64(steps) }

  static let columns: SQL = """
    k.id, k.job_id, k.checkpoint_id, c.attempt_id, c.step, k.steps, k.metric, k.tolerance, k.saved, k.first_replay_id,
    k.second_replay_id, k.requested_by, k.created_at, k.verdict, k.ended_at
    """

  static let source: SQL = "resume_check k JOIN checkpoint c ON c.id = k.checkpoint_id"

  init(row: Row) throws {
    id = try row.get("id")
    job = try row.get("job_id")
    checkpoint = try row.get("checkpoint_id")
    attempt = try row.get("attempt_id")
    step = try row.get("step")
    steps = try row.get("steps")
    metric = try row.get("metric")
    tolerance = try row.get("tolerance")
    saved = try row.get("saved", as: String?.self).map { try JSON.value(from: $0) }
    replays = [try row.get("first_replay_id"), try row.get("second_replay_id")]
    requestedBy = try row.get("requested_by")
    createdAt = try row.get("created_at")
    verdict = try row.get("verdict", as: String?.self).map { try JSON.value(from: $0) }
    endedAt = try row.get("ended_at")
  }
}
