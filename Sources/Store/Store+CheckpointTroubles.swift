public import Domain
import Postgres

extension Store {
  /// Writes down for people why what an attempt saved at `step` is not in the store: one line of the audit log.
  ///
  /// It waits for the store, or was given up (`isRejected`). The line is about the checkpoint, or about the attempt where
  /// nobody knows of one at that step.
  ///
  /// The same reason again changes nothing. `.stale` then, where there is no such attempt, or the turn is another's.
  public func recordTrouble(
    with step: Int64, in attempt: AttemptID, isRejected: Bool, _ reason: String, by epoch: ControllerEpoch
  ) async throws -> Guarded<AttemptID> {
    let action = isRejected ? Self.rejected : Self.delayed
    return try await controlled(by: epoch) { transaction in
      let row = try await transaction.first(
        """
        SELECT j.project_id, c.id FROM job j JOIN attempt a ON a.job_id = j.id
        LEFT JOIN checkpoint c ON c.attempt_id = a.id AND c.step = \(step)
        WHERE a.id = \(attempt) FOR UPDATE OF j
        """)
      guard let row else { return .stale }
      let subject = try row.get("id", as: CheckpointID?.self).map(Subject.init) ?? Subject(attempt)
      let known = try await transaction.first(
        """
        SELECT id FROM event
        WHERE subject_kind = \(subject.kind) AND subject_id = \(subject.id) AND action = \(action)
          AND detail ->> 'step' = \("\(step)") AND detail ->> 'reason' = \(reason)
        LIMIT 1
        """)
      guard known == nil else { return .stale }
      try await record(
        action, subject, project: row.get("project_id"), by: .controller(epoch),
        detail: ["step": "\(step)", "reason": reason], in: transaction)
      return .done(attempt)
    }
  }

  /// The newest checkpoint of `attempt` that is newer than all of it in the store; nil where there is none.
  func unstoredCheckpoint(
    of attempt: AttemptID, in transaction: PostgresTransaction
  ) async throws -> UnstoredCheckpoint? {
    // What kept one from the store kept the next one, too.
    let row = try await transaction.first(
      """
      WITH unstored AS (
        SELECT c.id, c.step FROM checkpoint c
        WHERE c.attempt_id = \(attempt) AND c.state IN ('LOCAL', 'UPLOADING') AND c.step > coalesce((
          SELECT max(d.step) FROM checkpoint d WHERE d.attempt_id = \(attempt) AND d.state = 'DURABLE'), -1)),
      told AS (
        SELECT e.id, e.action, u.step, e.detail ->> 'reason' AS reason
        FROM unstored u JOIN event e ON e.subject_kind = \(CheckpointID.kind) AND e.subject_id = u.id
        WHERE e.action IN (\(Self.rejected), \(Self.delayed)))
      SELECT u.step,
        EXISTS (SELECT 1 FROM told t WHERE t.step = u.step AND t.action = \(Self.rejected)) AS is_rejected,
        (SELECT t.reason FROM told t WHERE t.step = u.step OR t.action = \(Self.delayed)
          ORDER BY t.step DESC, t.id DESC LIMIT 1) AS reason
      FROM unstored u ORDER BY u.step DESC LIMIT 1
      """)
    return try row.map { row in
      UnstoredCheckpoint(
        step: try row.get("step"), isRejected: try row.get("is_rejected"), reason: try row.get("reason"))
    }
  }

  /// Why those of `checkpoints` that are not in the store were of no use, as far as a node has told: what it told last.
  public func rejections(of checkpoints: [CheckpointID]) async throws -> [CheckpointID: String] {
    let rows = try await pool.query(
      """
      SELECT DISTINCT ON (c.id) c.id, e.detail ->> 'reason' AS reason
      FROM checkpoint c JOIN event e ON e.subject_kind = \(CheckpointID.kind) AND e.subject_id = c.id
      WHERE c.id = ANY (\(checkpoints)) AND c.state IN ('LOCAL', 'UPLOADING') AND e.action = \(Self.rejected)
      ORDER BY c.id, e.id DESC
      """)
    var found: [CheckpointID: String] = [:]
    for row in rows { found[try row.get("id")] = try row.get("reason") }
    return found
  }

  private static let rejected = "checkpoint.reject"
  private static let delayed = "checkpoint.delay"
}

extension CheckpointID {
  /// As events call it.
  fileprivate static var kind: String { Subject(CheckpointID(0)).kind }
}
