public import Domain
import Postgres

extension Store {
  /// Attempts that ended without their last word being heard, oldest first.
  ///
  /// What they left in the object store has to be brought in before their job goes on, or a step that was saved would
  /// be computed again.
  public func unsettledAttempts() async throws -> [AttemptRecord] {
    let rows = try await pool.query(
      """
      SELECT \(AttemptRecord.columns) FROM \(AttemptRecord.source) JOIN attempt_unsettled u ON u.attempt_id = a.id
      WHERE a.state = 'ENDED' ORDER BY a.id
      """)
    return try await withNodes(rows, in: pool)
  }

  /// All that an attempt left is known now: its job may go on, in LEASE_WAIT where it has a checkpoint by now.
  ///
  /// `.stale` where it was settled before.
  public func markSettled(_ attempt: AttemptID, by epoch: ControllerEpoch) async throws -> Guarded<AttemptID> {
    try await controlled(by: epoch) { transaction in
      let count = try await transaction.execute("DELETE FROM attempt_unsettled WHERE attempt_id = \(attempt)")
      guard count == 1 else { return .stale }
      try await record("attempt.settle", Subject(attempt), by: .controller(epoch), in: transaction)
      // It came further than was known when it was lost.
      try await transaction.execute(
        """
        UPDATE job j
        SET lost_in_row = 0, state = CASE WHEN j.state = 'HELD' AND j.reason = 'NodesLost' THEN 'PENDING' ELSE j.state END
        FROM attempt a
        WHERE a.id = \(attempt) AND j.id = a.job_id AND j.lost_in_row > 0 AND \(Self.brokeNewGround)
        """)
      // Where its last checkpoint was found only now, the job has something to go on from.
      try await transaction.execute(
        """
        UPDATE job j SET state = 'LEASE_WAIT' FROM attempt a
        WHERE a.id = \(attempt) AND j.id = a.job_id AND j.state = 'PENDING' AND j.latest_checkpoint_id IS NOT NULL
        """)
      // The scheduler listens to jobs; often nothing about the job itself has changed.
      try await transaction.execute(
        "SELECT pg_notify('baton', 'job:' || a.job_id) FROM attempt a WHERE a.id = \(attempt)")
      return .done(attempt)
    }
  }

  /// Whether what `attempt` left on `node` may be removed: it is over, and was there.
  ///
  /// `.stale` where the turn is another's, who alone may say so.
  public func mayPurge(
    _ attempt: AttemptID, on node: NodeID, by epoch: ControllerEpoch
  ) async throws -> Guarded<Bool> {
    try await controlled(by: epoch) { transaction in
      let row = try await transaction.first(
        """
        SELECT 1 AS over FROM attempt a JOIN attempt_node n ON n.attempt_id = a.id
        WHERE a.id = \(attempt) AND a.state = 'ENDED' AND n.node_id = \(node)
        """)
      return .done(row != nil)
    }
  }

  /// The jobs of which an attempt is not settled.
  static let isUnsettled: SQL = """
    EXISTS (SELECT 1 FROM attempt_unsettled u JOIN attempt ua ON ua.id = u.attempt_id WHERE ua.job_id = j.id)
    """
}
