public import Domain
import Postgres

/// A run among those that it came from, and those that came from it.
public struct FamilyMember: Hashable, Sendable {
  /// Its job.
  public var job: JobID
  /// Its name.
  public var name: String
  /// Where it stands.
  public var state: JobState
  /// The checkpoint of another run that it starts from.
  public var startCheckpoint: CheckpointID?
  /// The run that it does again.
  public var reproduces: RunID?

  init(row: Row) throws {
    job = try row.get("id")
    name = try row.get("name")
    state = try row.get("state")
    startCheckpoint = try row.get("start_checkpoint_id")
    reproduces = try row.get("reproduces_id", as: JobID?.self)?.run
  }
}

/// The lowest and the highest value of a metric; nil where no value is a number.
public struct MetricExtremes: Hashable, Sendable {
  /// The lowest.
  public var lowest: Double?
  /// The highest.
  public var highest: Double?
}

extension Store {
  /// The extremes of each metric of a run, by name.
  public func metricExtremes(of job: JobID) async throws -> [String: MetricExtremes] {
    var found: [String: MetricExtremes] = [:]
    for row in try await pool.query(
      """
      SELECT metric, min(low) AS lowest, max(high) AS highest
      FROM metric_bucket WHERE job_id = \(job) GROUP BY metric ORDER BY metric
      """)
    {
      found[try row.get("metric")] = MetricExtremes(lowest: try row.get("lowest"), highest: try row.get("highest"))
    }
    return found
  }

  /// A run, all that it came from and all that came from it, by number; at most `limit`.
  public func family(of job: JobID, limit: Int = 500) async throws -> [FamilyMember] {
    try await pool.query(
      """
      WITH RECURSIVE link AS (
        SELECT r.job_id AS child, c.job_id AS parent FROM run r JOIN checkpoint c ON c.id = r.start_checkpoint_id
        UNION SELECT r.job_id, r.reproduces_id FROM run r WHERE r.reproduces_id IS NOT NULL
      ), above AS (
        SELECT \(job)::bigint AS id UNION SELECT l.parent FROM link l JOIN above a ON a.id = l.child
      ), below AS (
        SELECT \(job)::bigint AS id UNION SELECT l.child FROM link l JOIN below b ON b.id = l.parent
      )
      SELECT j.id, j.name, j.state, r.start_checkpoint_id, r.reproduces_id
      FROM job j JOIN run r ON r.job_id = j.id
      WHERE j.id IN (SELECT id FROM above UNION SELECT id FROM below) ORDER BY j.id LIMIT \(limit)
      """
    ).map(FamilyMember.init)
  }
}
