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
}
