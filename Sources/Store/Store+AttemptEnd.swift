import Domain
import Postgres

extension Store {
  /// Ends an attempt: its GPUs are free, and its job goes where `JobSpec.fate(after:)` says, in one transaction.
  ///
  /// `.stale` where it has ended already, or the turn is another's.
  public func endAttempt(_ ending: AttemptEnding, by epoch: ControllerEpoch) async throws -> Guarded<EndedAttempt> {
    try await controlled(by: epoch) { try await finish(ending, by: .controller(epoch), in: $0) }
  }

  func finish(
    _ ending: AttemptEnding, by actor: Actor, in transaction: PostgresTransaction
  ) async throws -> Guarded<EndedAttempt> {
    // A lease that is being given up ends at a moment that is not visible yet: wait for it, or keep it from moving.
    try await transaction.execute(
      """
      SELECT l.id FROM lease l JOIN attempt a ON a.lease_id = l.id WHERE a.id = \(ending.attempt) FOR SHARE OF l
      """)
    // The job is locked before its attempt, as everywhere; what decides is read under that lock.
    let locked = try await transaction.first(
      """
      SELECT j.id FROM job j JOIN attempt a ON a.job_id = j.id
      WHERE a.id = \(ending.attempt) AND a.state <> 'ENDED' FOR UPDATE OF j
      """)
    guard let locked, let found = try await attemptAtEnd(ending, in: transaction) else { return .stale }
    let job: JobID = try locked.get("id")
    try await transaction.execute(
      """
      UPDATE attempt
      SET state = 'ENDED', outcome = \(ending.outcome), exit_code = \(ending.exitCode),
        reason_detail = \(ending.detail), ended_at = \(found.endedAt)
      WHERE id = \(ending.attempt)
      """)
    if !ending.isSettled {
      try await transaction.execute("INSERT INTO attempt_unsettled (attempt_id) VALUES (\(ending.attempt))")
    }
    let fate = found.spec.fate(after: found.end)
    var detail = ending.detail
    if fate.state == .held {
      detail = [detail, Self.advice(fate, job, ending.outcome, found.resumed)].compactMap(\.self).joined(
        separator: "; ")
    }
    let exitCode = fate.state == .completed ? 0 : fate.state.isFinal ? ending.exitCode : nil
    try await transaction.execute(
      """
      UPDATE job
      SET state = \(fate.state), reason = \(fate.reason), reason_detail = \(detail), lost_in_row = \(fate.lostInRow),
        running_seconds = \(found.end.ran.seconds), restarts = restarts + \(fate.usesRestart ? 1 : 0),
        node_failures = node_failures + \(fate.isNodeFailure ? 1 : 0), exit_code = \(exitCode),
        ended_at = CASE WHEN \(fate.state.isFinal)::boolean THEN clock_timestamp() END
      WHERE id = \(job)
      """)
    try await record(
      "attempt.end", Subject(ending.attempt), project: found.project, by: actor,
      detail: ["outcome": ending.outcome.rawValue, "job": "\(job)", "jobState": fate.state.rawValue],
      in: transaction)
    return .done(EndedAttempt(attempt: ending.attempt, job: job, fate: fate))
  }

  /// What a person has to do before a job goes on that is HELD after an attempt.
  private static func advice(
    _ fate: JobFate, _ job: JobID, _ outcome: AttemptOutcome, _ resumed: AttemptAtEnd.Resumed?
  ) -> String {
    if fate.reason == "ResumeFailed", let resumed {
      return "it had resumed from step \(resumed.step) and came to no other: see `baton logs \(job)`; "
        + "`baton release \(job)` tries again, and after `baton checkpoint reject \(resumed.checkpoint)` "
        + "from the checkpoint before that one"
    }
    let cause =
      outcome == .lost
      ? "lost \(fate.lostInRow) times in a row without a new checkpoint or step: look at its nodes and its log"
      : "begun \(fate.lostInRow) times in a row in vain: see that the object store answers"
    return "\(cause), then `baton release \(job)`"
  }

  /// Whether attempt `a` of job `j`, its newest, came further than any before it.
  static let brokeNewGround: SQL = """
    (EXISTS (SELECT 1 FROM checkpoint k WHERE k.id = j.latest_checkpoint_id AND k.attempt_id = a.id)
      OR EXISTS (
        SELECT 1 FROM metric_bucket m WHERE m.job_id = j.id AND m.last_attempt = a.number
          AND m.last_step > coalesce((
            SELECT max(o.step) FROM metric_point_archived o
            WHERE o.job_id = j.id AND o.attempt_number < a.number), -1)))
    """

  /// What decides about the job.
  private struct AttemptAtEnd {
    var project: ProjectID
    var spec: JobSpec
    var endedAt: Timestamp
    var end: AttemptEnd
    /// What it resumed from.
    var resumed: Resumed?

    struct Resumed {
      var checkpoint: CheckpointID
      var step: Int64
    }
  }

  /// Whether attempt `a` of job `j`, its newest, has told a step; so that a program that tells none is not taken for one that is
  /// stuck, nil where no attempt has.
  private static let toldSteps: SQL = """
    CASE
      WHEN EXISTS (SELECT 1 FROM metric_bucket m WHERE m.job_id = j.id AND m.last_attempt = a.number) THEN true
      WHEN EXISTS (SELECT 1 FROM metric_bucket m WHERE m.job_id = j.id) THEN false
    END
    """

  private func attemptAtEnd(
    _ ending: AttemptEnding, in transaction: PostgresTransaction
  ) async throws -> AttemptAtEnd? {
    // No attempt outlives its lease, however late its end becomes known.
    let row = try await transaction.first(
      """
      SELECT j.project_id, j.spec, j.restarts, j.node_failures, j.running_seconds, e.ended_at,
        j.cancel_requested_at IS NOT NULL AS is_cancel_requested, j.latest_checkpoint_id IS NOT NULL AS has_checkpoint,
        j.lost_in_row, coalesce(c.attempt_id = a.id, false) AS has_newer,
        r.id AS resumed_from, r.step AS resumed_step,
        CASE WHEN \(ending.outcome)::text = 'FAILED' THEN \(Self.toldSteps) END AS told_steps,
        CASE WHEN \(ending.outcome)::text = 'LOST' THEN \(Self.brokeNewGround) ELSE true END AS broke_new_ground,
        coalesce(greatest(extract(epoch FROM e.ended_at - a.running_at), 0), 0)::double precision AS ran_now
      FROM attempt a JOIN job j ON j.id = a.job_id JOIN lease l ON l.id = a.lease_id
      LEFT JOIN checkpoint c ON c.id = j.latest_checkpoint_id
      LEFT JOIN checkpoint r ON r.id = a.resume_checkpoint_id
      CROSS JOIN LATERAL (SELECT greatest(a.created_at, least(clock_timestamp(), upper(l.period))) AS ended_at) e
      WHERE a.id = \(ending.attempt) AND a.state <> 'ENDED'
      FOR UPDATE OF a
      """)
    guard let row else { return nil }
    let ranNow = try row.seconds("ran_now")
    var end = AttemptEnd(outcome: ending.outcome, exitCode: ending.exitCode)
    end.stagingFault = ending.stagingFault
    end.madeProgress = try row.get("has_newer", as: Bool.self) || ranNow >= AttemptEnd.madeProgressAfter
    end.hasCheckpoint = try row.get("has_checkpoint")
    var resumed: AttemptAtEnd.Resumed?
    if let checkpoint = try row.get("resumed_from", as: CheckpointID?.self) {
      resumed = .init(checkpoint: checkpoint, step: try row.get("resumed_step"))
      let toldSteps = try row.get("told_steps", as: Bool?.self) ?? end.madeProgress
      end.stuckAtResume = try !row.get("has_newer", as: Bool.self) && !toldSteps
    }
    end.restartsUsed = try row.get("restarts")
    end.nodeFailures = try row.get("node_failures")
    end.brokeNewGround = try row.get("broke_new_ground")
    end.lostInRow = try row.get("lost_in_row")
    end.lostMost = lostMost
    end.ran = try row.seconds("running_seconds") + ranNow
    end.cancelRequested = try row.get("is_cancel_requested")
    return AttemptAtEnd(
      project: try row.get("project_id"), spec: try row.json("spec"), endedAt: try row.get("ended_at"), end: end,
      resumed: resumed)
  }
}
