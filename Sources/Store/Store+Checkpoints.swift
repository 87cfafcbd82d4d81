public import Domain
import Postgres

/// One saved step of a run.
public struct CheckpointRecord: Hashable, Sendable {
  /// Which.
  public var id: CheckpointID
  /// Of which job.
  public var job: JobID
  /// Which attempt wrote it.
  public var attempt: AttemptID
  /// That attempt's number.
  public var attemptNumber: Int
  /// After which step.
  public var step: Int64
  /// Where it stands.
  public var state: CheckpointState
  /// Its size.
  public var size: ByteCount
  /// Where its objects are in the store.
  public var objectPrefix: String?
  /// SHA-256 of its manifest's canonical text.
  public var manifestHash: String?
  /// When it was first heard of.
  public var createdAt: Timestamp
  /// When it was read back.
  public var durableAt: Timestamp?
  /// How long the program took to write it.
  public var saveTime: TimeSpan?
  /// How long it took to the store and back.
  public var uploadTime: TimeSpan?
  /// The last save of its attempt.
  public var isFinal: Bool
  /// When all of it was last read back after it became DURABLE; nil where it was not yet.
  public var verifiedAt: Timestamp?

  static let columns: SQL = """
    c.id, c.job_id, c.attempt_id, a.number, c.step, c.state, c.bytes, c.object_prefix, c.manifest_sha256, c.created_at,
    c.durable_at, c.save_seconds, c.upload_seconds, c.is_final, c.verified_at
    """

  static let source: SQL = "checkpoint c JOIN attempt a ON a.id = c.attempt_id"

  init(row: Row) throws {
    id = try row.get("id")
    job = try row.get("job_id")
    attempt = try row.get("attempt_id")
    attemptNumber = try row.get("number")
    step = try row.get("step")
    state = try row.get("state")
    size = try row.get("bytes")
    objectPrefix = try row.get("object_prefix")
    manifestHash = try row.get("manifest_sha256")
    createdAt = try row.get("created_at")
    durableAt = try row.get("durable_at")
    saveTime = try row.get("save_seconds", as: Double?.self).map { .seconds($0) }
    uploadTime = try row.get("upload_seconds", as: Double?.self).map { .seconds($0) }
    isFinal = try row.get("is_final")
    verifiedAt = try row.get("verified_at")
  }
}

/// A checkpoint that was read back from the store and is what its manifest says.
public struct CheckpointCommit: Hashable, Sendable {
  /// Which attempt wrote it.
  public var attempt: AttemptID
  /// After which step.
  public var step: Int64
  /// SHA-256 of its manifest's canonical text, 64 lower-case hexadecimal digits.
  public var manifestHash: String
  /// Its size.
  public var size: ByteCount
  /// Where its objects are in the store.
  public var objectPrefix: String
  /// How long the program took to write it.
  public var saveTime: TimeSpan
  /// How long it took to the store and back.
  public var uploadTime: TimeSpan
  /// The last save of its attempt.
  public var isFinal: Bool

  /// A checkpoint.
  public init(
    attempt: AttemptID, step: Int64, manifestHash: String, size: ByteCount, objectPrefix: String,
    saveTime: TimeSpan = .zero, uploadTime: TimeSpan = .zero, isFinal: Bool = false
  ) {
    self.attempt = attempt
    self.step = step
    self.manifestHash = manifestHash
    self.size = size
    self.objectPrefix = objectPrefix
    self.saveTime = saveTime
    self.uploadTime = uploadTime
    self.isFinal = isFinal
  }
}

/// What a commit did.
public struct CommitResult: Hashable, Sendable {
  /// The checkpoint, DURABLE now.
  public var checkpoint: CheckpointID
  /// Whether the job's latest names it: not where a newer attempt has begun, or a later step is there.
  public var isLatest: Bool
}

extension Store {
  /// Writes down that a checkpoint exists on the node, or is on its way.
  ///
  /// `.stale` where it is further than that already, the attempt does not exist, or the turn is another's.
  public func registerCheckpoint(
    _ attempt: AttemptID, step: Int64, state: CheckpointState, size: ByteCount, isFinal: Bool = false,
    by epoch: ControllerEpoch
  ) async throws -> Guarded<CheckpointID> {
    guard state == .local || state == .uploading else { return .stale }
    return try await controlled(by: epoch) { transaction in
      let row = try await transaction.first(
        """
        INSERT INTO checkpoint AS c (job_id, attempt_id, step, state, bytes, is_final)
        SELECT a.job_id, a.id, \(step), \(state), \(size), \(isFinal) FROM attempt a WHERE a.id = \(attempt)
        ON CONFLICT (attempt_id, step) DO UPDATE
        SET state = excluded.state, bytes = excluded.bytes, is_final = excluded.is_final OR c.is_final
        WHERE c.state = 'LOCAL' OR (c.state = 'UPLOADING' AND excluded.state = 'UPLOADING')
        RETURNING c.id
        """)
      guard let row else { return .stale }
      return .done(try row.get("id"))
    }
  }

  /// Makes a checkpoint DURABLE, and the job's latest if it is of the newest attempt and no step is lost by it.
  ///
  /// The same commit again changes nothing and gives the same answer. `.stale` where it was found CORRUPT or was
  /// PRUNED, where it is DURABLE with another content, or where the turn is another's. An attempt that is not the
  /// newest of its job may commit, and never moves latest.
  public func commitCheckpoint(
    _ commit: CheckpointCommit, by epoch: ControllerEpoch
  ) async throws -> Guarded<CommitResult> {
    try await controlled(by: epoch) { transaction in
      let job = try await transaction.first(
        """
        SELECT j.id, j.project_id FROM job j JOIN attempt a ON a.job_id = j.id WHERE a.id = \(commit.attempt)
        FOR UPDATE OF j
        """)
      guard let job, let id = try await makeDurable(commit, job: job.get("id"), in: transaction) else { return .stale }
      let moved = try await transaction.execute(
        """
        UPDATE job j SET latest_checkpoint_id = \(id)
        FROM attempt a
        WHERE a.id = \(commit.attempt) AND j.id = a.job_id
          AND a.number = (SELECT max(n.number) FROM attempt n WHERE n.job_id = j.id)
          AND NOT EXISTS (
            SELECT 1 FROM checkpoint l JOIN attempt la ON la.id = l.attempt_id
            WHERE l.id = j.latest_checkpoint_id AND (la.number > a.number OR l.step > \(commit.step)))
        """)
      let detail = ["step": "\(commit.step)", "bytes": "\(commit.size.bytes)", "latest": moved == 1 ? "yes" : "no"]
      try await record(
        "checkpoint.commit", Subject(id), project: job.get("project_id"), by: .controller(epoch), detail: detail,
        in: transaction)
      return .done(CommitResult(checkpoint: id, isLatest: moved == 1))
    }
  }

  private func makeDurable(
    _ commit: CheckpointCommit, job: JobID, in transaction: PostgresTransaction
  ) async throws -> CheckpointID? {
    try await transaction.first(
      """
      INSERT INTO checkpoint AS c (job_id, attempt_id, step, state, bytes, object_prefix, manifest_sha256, durable_at,
        save_seconds, upload_seconds, is_final)
      VALUES (\(job), \(commit.attempt), \(commit.step), 'DURABLE', \(commit.size), \(commit.objectPrefix),
        \(commit.manifestHash), clock_timestamp(), \(commit.saveTime.seconds), \(commit.uploadTime.seconds),
        \(commit.isFinal))
      ON CONFLICT (attempt_id, step) DO UPDATE
      SET state = 'DURABLE', bytes = excluded.bytes, object_prefix = excluded.object_prefix,
        manifest_sha256 = excluded.manifest_sha256, durable_at = coalesce(c.durable_at, excluded.durable_at),
        save_seconds = excluded.save_seconds, upload_seconds = excluded.upload_seconds,
        is_final = excluded.is_final OR c.is_final
      WHERE c.state IN ('LOCAL', 'UPLOADING')
        OR (c.state = 'DURABLE' AND c.manifest_sha256 = excluded.manifest_sha256
          AND c.object_prefix = excluded.object_prefix)
      RETURNING c.id
      """
    )?.get("id")
  }

  /// Marks a checkpoint as not what its manifest says; where it was the job's latest, the newest DURABLE one before it
  /// is from now on, or none.
  ///
  /// Gives the job's latest after that. Jobs that wait and were submitted to resume from it, and have none of their own,
  /// are FAILED: nothing can take its place.
  ///
  /// `.stale` where it was CORRUPT or PRUNED already, or a controller says so whose turn is over. Throws `.notFound`.
  public func markCorrupt(
    _ checkpoint: CheckpointID, detail: String, by actor: Actor
  ) async throws -> Guarded<CheckpointID?> {
    try await permitted(to: actor) { transaction in
      let job = try await transaction.first(
        """
        SELECT j.id, j.project_id, j.latest_checkpoint_id, c.step, a.number
        FROM job j JOIN checkpoint c ON c.job_id = j.id JOIN attempt a ON a.id = c.attempt_id
        WHERE c.id = \(checkpoint) FOR UPDATE OF j
        """)
      guard let job else { throw StoreError.notFound(kind: "checkpoint", name: "\(checkpoint)") }
      let count = try await transaction.execute(
        """
        UPDATE checkpoint SET state = 'CORRUPT'
        WHERE id = \(checkpoint) AND state = ANY (\(CheckpointState.corrupt.predecessorNames)::text[])
        """)
      guard count == 1 else { return .stale }
      let id: JobID = try job.get("id")
      var latest: CheckpointID? = try job.get("latest_checkpoint_id")
      if latest == checkpoint {
        latest = try await transaction.one(
          """
          UPDATE job SET latest_checkpoint_id = (
            SELECT c.id FROM checkpoint c JOIN attempt a ON a.id = c.attempt_id
            WHERE c.job_id = \(id) AND c.state = 'DURABLE' AND c.step <= \(job.get("step", as: Int64.self))
              AND a.number <= \(job.get("number", as: Int.self))
            ORDER BY a.number DESC, c.step DESC, c.id DESC LIMIT 1)
          WHERE id = \(id)
          RETURNING latest_checkpoint_id
          """
        ).get("latest_checkpoint_id")
      }
      let why = "\(checkpoint), which it was to resume from, is CORRUPT: \(detail)"
      let failed = try await transaction.query(
        """
        UPDATE job
        SET state = 'FAILED', reason = 'CheckpointCorrupt', ended_at = clock_timestamp(), reason_detail = \(why)
        WHERE state IN ('PENDING', 'LEASE_WAIT', 'HELD') AND latest_checkpoint_id IS NULL
          AND id IN (SELECT r.job_id FROM run r WHERE r.start_checkpoint_id = \(checkpoint))
        RETURNING id, project_id
        """)
      for row in failed {
        try await record(
          "job.fail", Subject(row.get("id", as: JobID.self)), project: row.get("project_id"), by: actor,
          detail: ["why": why], in: transaction)
      }
      try await record(
        "checkpoint.corrupt", Subject(checkpoint), project: job.get("project_id"), by: actor,
        detail: ["detail": detail, "latest": latest.map { "\($0)" } ?? "-"], in: transaction)
      return .done(latest)
    }
  }

  /// One checkpoint.
  ///
  /// Throws `.notFound`.
  public func checkpoint(_ id: CheckpointID) async throws -> CheckpointRecord {
    let row = try await pool.first(
      "SELECT \(CheckpointRecord.columns) FROM \(CheckpointRecord.source) WHERE c.id = \(id)")
    guard let row else { throw StoreError.notFound(kind: "checkpoint", name: "\(id)") }
    return try CheckpointRecord(row: row)
  }

  /// The checkpoints of a job, newest attempt and step first.
  public func checkpoints(of job: JobID) async throws -> [CheckpointRecord] {
    try await pool.query(
      """
      SELECT \(CheckpointRecord.columns) FROM \(CheckpointRecord.source) WHERE c.job_id = \(job)
      ORDER BY a.number DESC, c.step DESC, c.id DESC
      """
    ).map(CheckpointRecord.init)
  }
}
