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
  /// The checkpoint of another run that it starts from.
  public var startCheckpoint: CheckpointID?
  /// The run that it does again.
  public var reproduces: RunID?
  /// The words it is found by, sorted.
  public var tags: [String]
  /// What people wrote about it, oldest first.
  public var notes: [RunNote]
}

extension Store {
  /// The whole history of a job.
  ///
  /// Throws `.notFound`.
  public func run(_ id: RunID) async throws -> RunRecord {
    let job = try await job(id.job)
    let row = try await pool.one(
      """
      SELECT \(Provenance.columns), start_checkpoint_id, reproduces_id FROM run WHERE job_id = \(id.job)
      """)
    return RunRecord(
      job: job, specText: try await jobText(id.job), provenance: try Provenance(row: row),
      datasets: try await datasets(of: id.job), attempts: try await attempts(of: id.job),
      checkpoints: try await checkpoints(of: id.job), metrics: try await metrics(of: id.job),
      startCheckpoint: try row.get("start_checkpoint_id"),
      reproduces: try row.get("reproduces_id", as: JobID?.self)?.run,
      tags: try await tags(of: [id.job])[id.job] ?? [], notes: try await notes(of: id.job))
  }
}
