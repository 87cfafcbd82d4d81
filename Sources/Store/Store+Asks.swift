public import Domain
import Postgres

extension Store {
  /// Asks for `job` to save now: whichever process decides, then or later, has its nodes told.
  ///
  /// `.stale` where it does not run.
  @discardableResult
  public func askForCheckpoint(of job: JobID) async throws -> Guarded<AttemptID> {
    let row = try await pool.first(
      """
      UPDATE attempt SET checkpoint_asked_at = clock_timestamp()
      WHERE job_id = \(job) AND state = 'RUNNING' RETURNING id
      """)
    return try row.map { .done(try $0.get("id")) } ?? .stale
  }

  /// Writes down that every node was told of what was asked at `asked`; what was asked later stays.
  ///
  /// `.stale` where nothing is asked, or something else by now.
  public func markCheckpointTold(
    _ attempt: AttemptID, asked: Timestamp, by epoch: ControllerEpoch
  ) async throws -> Guarded<AttemptID> {
    try await controlled(by: epoch) { transaction in
      let count = try await transaction.execute(
        """
        UPDATE attempt SET checkpoint_asked_at = NULL
        WHERE id = \(attempt) AND state <> 'ENDED' AND checkpoint_asked_at = \(asked)
        """)
      return count == 1 ? .done(attempt) : .stale
    }
  }

  /// Asks for `attempt` to save and leave as at the end of its lease; its job then goes on in another attempt.
  ///
  /// `.stale` where it does not run.
  public func askToLeave(_ attempt: AttemptID) async throws -> Guarded<AttemptID> {
    let row = try await pool.first(
      """
      UPDATE attempt SET leave_asked_at = coalesce(leave_asked_at, clock_timestamp())
      WHERE id = \(attempt) AND state = 'RUNNING' RETURNING id
      """)
    return try row.map { .done(try $0.get("id")) } ?? .stale
  }

  /// Asks for `job`, whose end is wanted, to be ended without letting it save.
  ///
  /// `.stale` where it has no attempt.
  @discardableResult
  public func askForKill(of job: JobID) async throws -> Guarded<AttemptID> {
    let row = try await pool.first(
      """
      UPDATE attempt SET kill_asked_at = coalesce(kill_asked_at, clock_timestamp())
      WHERE job_id = \(job) AND state <> 'ENDED' RETURNING id
      """)
    return try row.map { .done(try $0.get("id")) } ?? .stale
  }
}
