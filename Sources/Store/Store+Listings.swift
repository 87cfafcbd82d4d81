public import Domain
import Postgres

/// Where a job stands beside its row: what a listing shows of its run.
public struct JobPlace: Hashable, Sendable {
  /// Its live attempt, or the last one; nil before the first.
  public var lastAttempt: AttemptID?
  /// The last step of which a metric is known.
  public var lastStep: Int64?
  /// When its latest checkpoint became DURABLE.
  public var checkpointAt: Timestamp?
  /// When that was saved, as far as is known: what was computed afterwards is not in it.
  public var checkpointSavedAt: Timestamp?
  /// The clock that decides, as it read this.
  public var now: Timestamp
}

extension Store {
  /// The name of every node.
  public func nodeNames() async throws -> [NodeID: String] {
    var names: [NodeID: String] = [:]
    for row in try await pool.query("SELECT id, name FROM node ORDER BY id") {
      names[try row.get("id")] = try row.get("name", as: String.self)
    }
    return names
  }

  /// The name of every project.
  public func projectNames() async throws -> [ProjectID: String] {
    var names: [ProjectID: String] = [:]
    for row in try await pool.query("SELECT id, name FROM project ORDER BY id") {
      names[try row.get("id")] = try row.get("name", as: String.self)
    }
    return names
  }

  /// The name of each of `jobs`.
  public func jobNames(of jobs: [JobID]) async throws -> [JobID: String] {
    var names: [JobID: String] = [:]
    for row in try await pool.query("SELECT id, name FROM job WHERE id = ANY (\(jobs)::bigint[]) ORDER BY id") {
      names[try row.get("id")] = try row.get("name", as: String.self)
    }
    return names
  }

  /// Where each of `jobs` stands, for a listing of any length in one statement.
  public func places(of jobs: [JobID]) async throws -> [JobID: JobPlace] {
    var places: [JobID: JobPlace] = [:]
    for row in try await pool.query(
      """
      SELECT j.id, c.durable_at, c.created_at AS saved_at, clock_timestamp() AS now,
        (SELECT a.id FROM attempt a WHERE a.job_id = j.id ORDER BY a.number DESC LIMIT 1) AS last_attempt,
        (SELECT max(m.last_step) FROM metric_bucket m WHERE m.job_id = j.id) AS last_step
      FROM job j LEFT JOIN checkpoint c ON c.id = j.latest_checkpoint_id
      WHERE j.id = ANY (\(jobs)::bigint[]) ORDER BY j.id
      """)
    {
      places[try row.get("id")] = JobPlace(
        lastAttempt: try row.get("last_attempt"), lastStep: try row.get("last_step"),
        checkpointAt: try row.get("durable_at"), checkpointSavedAt: try row.get("saved_at"), now: try row.get("now"))
    }
    return places
  }

  /// The attempts with these numbers, by number; those that do not exist are left out.
  public func attempts(_ ids: [AttemptID]) async throws -> [AttemptRecord] {
    if ids.isEmpty { return [] }
    let rows = try await pool.query(
      """
      SELECT \(AttemptRecord.columns) FROM \(AttemptRecord.source) WHERE a.id = ANY (\(ids)::bigint[]) ORDER BY a.id
      """)
    return try await withNodes(rows, in: pool)
  }

  /// Each metric of a run in short, by name.
  public func metricSummaries(of job: JobID) async throws -> [MetricSummaryRecord] {
    try await pool.query(
      """
      SELECT m.metric, sum(m.points)::bigint AS points, min(m.first_step) AS first_step, max(m.last_step) AS last_step,
        (SELECT l.value FROM metric_point l WHERE l.job_id = \(job) AND l.metric = m.metric
          ORDER BY l.step DESC LIMIT 1) AS last_value
      FROM metric_bucket m WHERE m.job_id = \(job) GROUP BY m.metric ORDER BY m.metric
      """
    ).map(MetricSummaryRecord.init)
  }
}

/// A metric in short.
public struct MetricSummaryRecord: Hashable, Sendable {
  /// Its name.
  public var metric: String
  /// How many steps have a value.
  public var count: Int
  /// The first of them.
  public var firstStep: Int64
  /// The last of them.
  public var lastStep: Int64
  /// The value there.
  public var lastValue: Double

  init(row: Row) throws {
    metric = try row.get("metric")
    count = try row.get("points")
    firstStep = try row.get("first_step")
    lastStep = try row.get("last_step")
    lastValue = try row.get("last_value")
  }
}
