public import Domain
import Postgres

/// A wish that a checkpoint be kept.
public struct CheckpointPin: Hashable, Sendable {
  /// Which checkpoint.
  public var checkpoint: CheckpointID
  /// The run that resumes from it, whose pin counts until it is over; nil for a person's.
  public var run: RunID?
  /// Who said so, as `Actor.text` has it.
  public var pinnedBy: String
  /// Why, for people.
  public var note: String
  /// Since when.
  public var createdAt: Timestamp

  init(row: Row) throws {
    checkpoint = try row.get("checkpoint_id")
    run = try row.get("job_id", as: JobID?.self)?.run
    pinnedBy = try row.get("pinned_by")
    note = try row.get("note")
    createdAt = try row.get("created_at")
  }
}

extension Store {
  /// Keeps a checkpoint from being removed: for a person, or for `run`, which resumes from it, until that is over.
  ///
  /// Again, by whomever, only changes who and why. `.stale` where it is CORRUPT or PRUNED already. Throws `.notFound`.
  public func pinCheckpoint(
    _ checkpoint: CheckpointID, for run: RunID? = nil, note: String = "", by actor: Actor
  ) async throws -> Guarded<CheckpointID> {
    try await permitted(to: actor) { transaction in
      let project = try await lockJob(of: checkpoint, in: transaction)
      let count = try await transaction.execute(
        """
        INSERT INTO checkpoint_pin (checkpoint_id, job_id, pinned_by, note)
        SELECT c.id, \(run?.job)::bigint, \(actor.text), \(note) FROM checkpoint c
        WHERE c.id = \(checkpoint) AND c.state IN ('LOCAL', 'UPLOADING', 'DURABLE')
        ON CONFLICT (checkpoint_id, job_id) DO UPDATE SET pinned_by = excluded.pinned_by, note = excluded.note
        """)
      guard count == 1 else { return .stale }
      try await record(
        "checkpoint.pin", Subject(checkpoint), project: project, by: actor,
        detail: ["for": run.map { "\($0)" } ?? "a person", "note": note].filter { !$0.value.isEmpty }, in: transaction)
      return .done(checkpoint)
    }
  }

  /// Takes a person's pin back, or that of `run`.
  ///
  /// `.stale` where there is none. Throws `.notFound`.
  public func unpinCheckpoint(
    _ checkpoint: CheckpointID, for run: RunID? = nil, by actor: Actor
  ) async throws -> Guarded<CheckpointID> {
    try await permitted(to: actor) { transaction in
      let project = try await lockJob(of: checkpoint, in: transaction)
      let count = try await transaction.execute(
        """
        DELETE FROM checkpoint_pin
        WHERE checkpoint_id = \(checkpoint) AND job_id IS NOT DISTINCT FROM \(run?.job)::bigint
        """)
      guard count == 1 else { return .stale }
      try await record(
        "checkpoint.unpin", Subject(checkpoint), project: project, by: actor,
        detail: ["for": run.map { "\($0)" } ?? "a person"], in: transaction)
      return .done(checkpoint)
    }
  }

  /// The pins of `checkpoints` that count, a person's first.
  public func pins(of checkpoints: [CheckpointID]) async throws -> [CheckpointID: [CheckpointPin]] {
    if checkpoints.isEmpty { return [:] }
    let pins = try await pool.query(
      """
      SELECT p.checkpoint_id, p.job_id, p.pinned_by, p.note, p.created_at
      FROM checkpoint_pin p LEFT JOIN job h ON h.id = p.job_id
      WHERE p.checkpoint_id = ANY (\(checkpoints)::bigint[]) AND (p.job_id IS NULL OR h.ended_at IS NULL)
      ORDER BY p.checkpoint_id, p.job_id NULLS FIRST
      """
    ).map(CheckpointPin.init)
    return Dictionary(grouping: pins, by: \.checkpoint)
  }

  /// The DURABLE checkpoints of a job as retention sees them, oldest first.
  ///
  /// Held is what somebody pinned, the job's latest, and what an attempt resumes from or stored last whose nodes may
  /// still be storing checkpoints: those name chunks of it. The value is that of
  /// `metric` at the checkpoint's step or, where it is not measured at every step, the last one before, by that attempt
  /// or one that it went on from.
  public func retentionCandidates(of job: JobID, metric: String? = nil) async throws -> [RetentionCandidate] {
    try await pool.query(
      """
      SELECT c.id, a.number, c.step, c.state, c.durable_at, (\(Self.isHeld)) AS held,
        (SELECT m.value FROM metric_point m
          WHERE m.job_id = c.job_id AND m.metric = \(metric)::text AND m.step <= c.step AND m.attempt_number <= a.number
          ORDER BY m.step DESC LIMIT 1) AS value
      FROM \(CheckpointRecord.source) WHERE c.job_id = \(job) AND c.state = 'DURABLE'
      ORDER BY a.number, c.step, c.id
      """
    ).map { row in
      RetentionCandidate(
        id: try row.get("id"), attemptNumber: try row.get("number"), step: try row.get("step"),
        state: try row.get("state"), durableAt: try row.get("durable_at"), value: try row.get("value"),
        isHeld: try row.get("held"))
    }
  }

  /// Jobs of `project`, or of all, that are over, have a greater number than `after`, and hold more DURABLE checkpoints
  /// than the newest that their policy names, by number.
  ///
  /// Not all of those hold too much: what their policy keeps beside the newest is not looked at.
  public func fullJobsThatAreOver(
    project: ProjectID? = nil, after: JobID = JobID(0), limit: Int
  ) async throws -> [JobID] {
    try await pool.query(
      """
      SELECT j.id FROM (
        SELECT k.job_id, count(*) AS kept FROM checkpoint k WHERE k.state = 'DURABLE'
        GROUP BY k.job_id HAVING count(*) > 1) f
      JOIN job j ON j.id = f.job_id
      WHERE j.ended_at IS NOT NULL AND j.id > \(after)
        AND (\(project)::bigint IS NULL OR j.project_id = \(project)::bigint) AND f.kept > greatest(1, coalesce(
        (j.spec -> 'checkpoint' -> 'keep' ->> 'last')::bigint, (j.spec -> 'checkpoint' ->> 'keepLast')::bigint,
        \(RetentionPolicy().last)))
      ORDER BY j.id LIMIT \(limit)
      """
    ).map { try $0.get("id") }
  }

  /// Marks a checkpoint PRUNED, before its objects are removed, so that nobody resumes from half of one.
  ///
  /// `.stale` where it is PRUNED already, or held, as `retentionCandidates` has it; where somebody pinned it,
  /// or a controller says so whose turn is over.
  public func markPruned(_ checkpoint: CheckpointID, by actor: Actor) async throws -> Guarded<CheckpointID> {
    try await permitted(to: actor) { transaction in
      // The job's lock keeps a start from choosing it at this moment, and a pin from coming between.
      let job = try await transaction.first(
        """
        SELECT j.project_id FROM job j JOIN checkpoint c ON c.job_id = j.id WHERE c.id = \(checkpoint) FOR UPDATE OF j
        """)
      guard let job else { return .stale }
      let count = try await transaction.execute(
        """
        UPDATE checkpoint c SET state = 'PRUNED'
        WHERE c.id = \(checkpoint) AND c.state = ANY (\(CheckpointState.pruned.predecessorNames)::text[])
          AND NOT (\(Self.isHeld))
        """)
      guard count == 1 else { return .stale }
      try await record(
        "checkpoint.prune", Subject(checkpoint), project: job.get("project_id"), by: actor, in: transaction)
      return .done(checkpoint)
    }
  }

  private static let isHeld: SQL = """
    EXISTS (SELECT 1 FROM job j WHERE j.latest_checkpoint_id = c.id)
      OR EXISTS (
        SELECT 1 FROM attempt l LEFT JOIN attempt_unsettled u ON u.attempt_id = l.id
        WHERE l.resume_checkpoint_id = c.id AND (l.state <> 'ENDED' OR u.attempt_id IS NOT NULL))
      OR EXISTS (
        SELECT 1 FROM attempt l LEFT JOIN attempt_unsettled u ON u.attempt_id = l.id
        WHERE l.id = c.attempt_id AND (l.state <> 'ENDED' OR u.attempt_id IS NOT NULL)
          AND c.step = (SELECT max(o.step) FROM checkpoint o WHERE o.job_id = c.job_id AND o.attempt_id = l.id))
      OR checkpoint_is_pinned(c.id)
    """

  private func lockJob(of checkpoint: CheckpointID, in transaction: PostgresTransaction) async throws -> ProjectID {
    let row = try await transaction.first(
      """
      SELECT j.project_id FROM job j JOIN checkpoint c ON c.job_id = j.id WHERE c.id = \(checkpoint) FOR UPDATE OF j
      """)
    guard let row else { throw StoreError.notFound(kind: "checkpoint", name: "\(checkpoint)") }
    return try row.get("project_id")
  }
}
