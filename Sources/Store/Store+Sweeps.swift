public import Domain
import Postgres

/// What one sweep over the checkpoints found and did.
public struct SweepRecord: Hashable, Sendable {
  /// Its number.
  public var id: Int64
  /// When it began.
  public var startedAt: Timestamp
  /// When it was done.
  public var endedAt: Timestamp
  /// What it found, as JSON.
  public var report: String
}

/// Who sweeps.
public struct SweepHolder: Hashable, Sendable {
  /// Who asked for it, as `Actor.text` has it.
  public var name: String
  /// When it began.
  public var since: Timestamp
}

/// What became of the wish to sweep.
public enum SweepTurn<Value: Sendable>: Sendable {
  /// It was done.
  case done(Value)
  /// Somebody else does: nothing was done.
  case underWay(SweepHolder?)
}

extension Store {
  /// The advisory lock of whoever sweeps: any number, but only this.
  private static let sweepLock: Int64 = 0x6261_746F_6E73_7765

  /// Runs `body` unless another sweep is under way, here or in another process.
  ///
  /// The turn ends with `body`, however that ends, and with the connection to the database: one that died keeps nobody
  /// waiting. Holds one connection of the pool meanwhile.
  public func sweeping<Value: Sendable>(
    by name: String, _ body: () async throws -> Value
  ) async throws -> SweepTurn<Value> {
    try await pool.withConnection { connection in
      guard try await connection.tryAdvisoryLock(Self.sweepLock) else {
        let row = try await connection.first(
          "SELECT holder, held_since FROM sweep_state WHERE holder IS NOT NULL AND held_since IS NOT NULL")
        return .underWay(
          try row.map { SweepHolder(name: try $0.get("holder"), since: try $0.get("held_since")) })
      }
      try await connection.execute("UPDATE sweep_state SET holder = \(name), held_since = clock_timestamp()")
      return .done(try await body())
    }
  }

  /// The DURABLE checkpoints whose last reading back is the longest ago, those first; of `project`, or of all.
  public func leastRecentlyVerified(project: ProjectID? = nil, limit: Int) async throws -> [CheckpointRecord] {
    try await pool.query(
      """
      SELECT \(CheckpointRecord.columns) FROM \(CheckpointRecord.source) JOIN job j ON j.id = c.job_id
      WHERE c.state = 'DURABLE' AND (\(project)::bigint IS NULL OR j.project_id = \(project)::bigint)
      ORDER BY coalesce(c.verified_at, c.durable_at), c.id LIMIT \(limit)
      """
    ).map(CheckpointRecord.init)
  }

  /// How many checkpoints are DURABLE, of `project`, or of all.
  public func durableCheckpointCount(project: ProjectID? = nil) async throws -> Int {
    try await pool.one(
      """
      SELECT count(*) AS durable FROM checkpoint c JOIN job j ON j.id = c.job_id
      WHERE c.state = 'DURABLE' AND (\(project)::bigint IS NULL OR j.project_id = \(project)::bigint)
      """
    ).get("durable")
  }

  /// Writes down that all of a checkpoint was read back and is as it should be.
  ///
  /// `.stale` where it is not DURABLE any more.
  public func markVerified(_ checkpoint: CheckpointID) async throws -> Guarded<CheckpointID> {
    let count = try await pool.execute(
      "UPDATE checkpoint SET verified_at = clock_timestamp() WHERE id = \(checkpoint) AND state = 'DURABLE'")
    return count == 1 ? .done(checkpoint) : .stale
  }

  /// Up to which of the jobs that are over the sweeps of this round have come; 0 at its beginning.
  public func sweepPlace() async throws -> JobID {
    try await pool.one("SELECT over_job_id FROM sweep_state").get("over_job_id")
  }

  /// Moves that place; `.stale` where the turn is another controller's.
  public func moveSweepPlace(to job: JobID, by epoch: ControllerEpoch) async throws -> Guarded<JobID> {
    try await controlled(by: epoch) { transaction in
      try await transaction.execute("UPDATE sweep_state SET over_job_id = \(job)")
      return .done(job)
    }
  }

  /// Keeps the report of a sweep, a JSON text, and gives its number.
  ///
  /// `.stale` where the turn is another's.
  public func recordSweep(
    startedAt: Timestamp, report: String, by epoch: ControllerEpoch
  ) async throws -> Guarded<Int64> {
    try await controlled(by: epoch) { transaction in
      let row = try await transaction.one(
        "INSERT INTO sweep_report (started_at, report) VALUES (\(startedAt), \(report)) RETURNING id")
      return .done(try row.get("id"))
    }
  }

  /// The last sweeps, newest first, at most `limit`.
  public func sweeps(limit: Int = 20) async throws -> [SweepRecord] {
    try await pool.query(
      "SELECT id, started_at, ended_at, report FROM sweep_report ORDER BY id DESC LIMIT \(limit)"
    ).map { row in
      SweepRecord(
        id: try row.get("id"), startedAt: try row.get("started_at"), endedAt: try row.get("ended_at"),
        report: try row.get("report"))
    }
  }
}
