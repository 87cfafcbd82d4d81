public import Domain
import Postgres

/// The whole history of a job, and what is needed to re-create it.
public struct RunRecord: Hashable, Sendable {
  /// The job and where it stands.
  public var job: JobRecord
  /// The job file as it was submitted.
  public var specText: String
  /// Where its code came from.
  public var provenance: Provenance
  /// The data it was pinned to, by name.
  public var datasets: [DatasetVersionRecord]
  /// Its attempts, by number.
  public var attempts: [AttemptRecord]
  /// Its checkpoints, newest first.
  public var checkpoints: [CheckpointRecord]
  /// The names of its metrics.
  public var metrics: [String]
}

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

extension Store {
  /// The whole history of a job.
  ///
  /// Throws `.notFound`.
  public func run(_ id: RunID) async throws -> RunRecord {
    let job = try await job(id.job)
    let row = try await pool.one(
      """
      SELECT git_commit, git_diff, git_dirty, workdir, software, hostname FROM run WHERE job_id = \(id.job)
      """)
    return RunRecord(
      job: job, specText: try await jobText(id.job), provenance: try Provenance(row: row),
      datasets: try await datasets(of: id.job), attempts: try await attempts(of: id.job),
      checkpoints: try await checkpoints(of: id.job), metrics: try await metrics(of: id.job))
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
