public import Domain
import Postgres

/// A value of a series.
public struct SeriesPoint: Hashable, Sendable {
  /// At which step.
  public var step: Int64
  /// The value.
  public var value: Double
  /// Which attempt computed it.
  public var attemptNumber: Int
  /// When, by the node's clock.
  public var recordedAt: Timestamp

  init(step: Int64, value: Double, attemptNumber: Int, recordedAt: Timestamp) {
    self.step = step
    self.value = value
    self.attemptNumber = attemptNumber
    self.recordedAt = recordedAt
  }

  init(row: Row) throws {
    step = try row.get("step")
    value = try row.get("value")
    attemptNumber = try row.get("attempt_number")
    recordedAt = try row.get("recorded_at")
  }
}

/// A value that left the curve.
public struct ArchivedPoint: Hashable, Sendable {
  /// Which metric.
  public var metric: String
  /// The value as it was.
  public var point: SeriesPoint
  /// When it left.
  public var archivedAt: Timestamp
  /// Why.
  public var reason: String

  init(row: Row) throws {
    metric = try row.get("metric")
    point = try SeriesPoint(row: row)
    archivedAt = try row.get("archived_at")
    reason = try row.get("reason")
  }
}

/// Where a curve begins and ends, and how much lies between.
public struct SeriesExtent: Hashable, Sendable {
  /// How many steps have a value.
  public var points: Int
  /// The first of them.
  public var firstStep: Int64
  /// The last of them.
  public var lastStep: Int64
}

/// A place of a curve where another attempt went on.
public struct SeriesBoundary: Hashable, Sendable {
  /// The last point of the attempt before.
  public var before: SeriesPoint
  /// The first point of the one that went on.
  public var after: SeriesPoint
}

extension Store {
  /// The names of a run's metrics, sorted.
  public func metrics(of job: JobID) async throws -> [String] {
    try await pool.query("SELECT DISTINCT metric FROM metric_bucket WHERE job_id = \(job) ORDER BY metric")
      .map { try $0.get("metric") }
  }

  /// What of a curve lies in steps `from` to `to`; nil where nothing does.
  public func seriesExtent(
    _ job: JobID, _ metric: String, from: Int64 = 0, to: Int64 = .max
  ) async throws -> SeriesExtent? {
    try await extent(SeriesRange(job: job, metric: metric, from: from, to: to), in: pool)
  }

  /// A run's curve, by step: one value a step, whatever happened in between.
  ///
  /// Where there are more than `maxPoints` (20 or more), of equal stretches of steps the first, the last, the lowest
  /// and the highest, one that is no finite number if there is one, and both ends of every attempt: all values are
  /// such as were told, no spike is lost, and little more than `maxPoints` are given.
  public func series(
    _ job: JobID, _ metric: String, from: Int64 = 0, to: Int64 = .max, maxPoints: Int = 10_000
  ) async throws -> [SeriesPoint] {
    let range = SeriesRange(job: job, metric: metric, from: from, to: to)
    return try await pool.withTransaction(isolation: .repeatableRead, readOnly: true) { transaction in
      // To compile such a statement takes longer than to run it.
      try await transaction.execute("SET LOCAL jit = off")
      guard let extent = try await extent(range, in: transaction) else { return [] }
      guard extent.points > maxPoints else { return try await points(range, limit: extent.points, in: transaction) }
      return try await thinned(range, extent, cells: max(maxPoints / 5, 4), in: transaction)
    }
  }

  /// The first `limit` points of steps `from` to `to`, none left out.
  public func exactSeries(
    _ job: JobID, _ metric: String, from: Int64 = 0, to: Int64 = .max, limit: Int
  ) async throws -> [SeriesPoint] {
    try await points(SeriesRange(job: job, metric: metric, from: from, to: to), limit: limit, in: pool)
  }

  private func points(
    _ range: SeriesRange, limit: Int, in executor: some SQLExecutor
  ) async throws -> [SeriesPoint] {
    try await executor.query(
      """
      SELECT p.step, p.value, p.attempt_number, p.recorded_at FROM metric_point p WHERE \(range.points)
      ORDER BY p.step LIMIT \(limit)
      """
    ).map(SeriesPoint.init)
  }

  private func extent(_ range: SeriesRange, in executor: some SQLExecutor) async throws -> SeriesExtent? {
    let row = try await executor.first(
      """
      SELECT sum(s.points)::bigint AS points, min(s.first_step) AS first_step, max(s.last_step) AS last_step
      FROM (\(range.stretches)) s HAVING count(*) > 0
      """)
    return try row.map {
      SeriesExtent(
        points: try $0.get("points"), firstStep: try $0.get("first_step"), lastStep: try $0.get("last_step"))
    }
  }

  private func thinned(
    _ range: SeriesRange, _ extent: SeriesExtent, cells: Int, in transaction: PostgresTransaction
  ) async throws -> [SeriesPoint] {
    let width = (extent.lastStep - extent.firstStep) / Int64(cells) + 1
    // Stretches that are no longer than a bucket are made of the points themselves.
    let stretches = width < MetricBucket.steps ? range.stretches(of: width, from: extent.firstStep) : range.stretches
    return try await transaction.query(
      """
      WITH cell AS (
        SELECT min(s.first_step) AS first_step, max(s.last_step) AS last_step, min(s.low) AS low, max(s.high) AS high,
          (array_agg(s.first_step ORDER BY s.low, s.first_step) FILTER (WHERE s.low IS NOT NULL))[1] AS low_from,
          (array_agg(s.last_step ORDER BY s.low, s.first_step) FILTER (WHERE s.low IS NOT NULL))[1] AS low_to,
          (array_agg(s.first_step ORDER BY s.high DESC, s.first_step) FILTER (WHERE s.low IS NOT NULL))[1] AS high_from,
          (array_agg(s.last_step ORDER BY s.high DESC, s.first_step) FILTER (WHERE s.low IS NOT NULL))[1] AS high_to,
          (array_agg(s.first_step ORDER BY s.first_step) FILTER (WHERE s.not_numbers > 0))[1] AS odd_from,
          (array_agg(s.last_step ORDER BY s.first_step) FILTER (WHERE s.not_numbers > 0))[1] AS odd_to
        FROM (\(stretches)) s GROUP BY (s.first_step - \(extent.firstStep)::bigint) / \(width)::bigint
      ), resumed AS (
        SELECT DISTINCT c.step FROM attempt a JOIN checkpoint c ON c.id = a.resume_checkpoint_id
        WHERE a.job_id = \(range.job)
      ), kept AS (
        SELECT first_step AS step FROM cell UNION SELECT last_step FROM cell
        UNION SELECT (
          SELECT p.step FROM metric_point p
          WHERE \(range.curve) AND p.step BETWEEN c.low_from AND c.low_to AND p.value = c.low ORDER BY p.step LIMIT 1
        ) FROM cell c
        UNION SELECT (
          SELECT p.step FROM metric_point p
          WHERE \(range.curve) AND p.step BETWEEN c.high_from AND c.high_to AND p.value = c.high ORDER BY p.step LIMIT 1
        ) FROM cell c
        UNION SELECT (
          SELECT p.step FROM metric_point p
          WHERE \(range.curve) AND p.step BETWEEN c.odd_from AND c.odd_to
            AND NOT (p.value > '-Infinity' AND p.value < 'Infinity') ORDER BY p.step LIMIT 1
        ) FROM cell c
        UNION SELECT (
          SELECT p.step FROM metric_point p WHERE \(range.points) AND p.step <= r.step ORDER BY p.step DESC LIMIT 1
        ) FROM resumed r
        UNION SELECT (
          SELECT p.step FROM metric_point p WHERE \(range.points) AND p.step > r.step ORDER BY p.step LIMIT 1
        ) FROM resumed r
      )
      SELECT p.step, p.value, p.attempt_number, p.recorded_at
      FROM kept k JOIN metric_point p ON \(range.curve) AND p.step = k.step ORDER BY p.step
      """
    ).map(SeriesPoint.init)
  }

  /// Where attempts took over along a curve, by step.
  public func boundaries(of job: JobID, _ metric: String) async throws -> [SeriesBoundary] {
    try await pool.query(
      """
      SELECT DISTINCT b.step AS before_step, b.value AS before_value, b.attempt_number AS before_attempt,
        b.recorded_at AS before_at, n.step, n.value, n.attempt_number, n.recorded_at
      FROM attempt a JOIN checkpoint c ON c.id = a.resume_checkpoint_id
      CROSS JOIN LATERAL (
        SELECT p.step, p.value, p.attempt_number, p.recorded_at FROM metric_point p
        WHERE p.job_id = \(job) AND p.metric = \(metric) AND p.step <= c.step ORDER BY p.step DESC LIMIT 1
      ) b
      CROSS JOIN LATERAL (
        SELECT p.step, p.value, p.attempt_number, p.recorded_at FROM metric_point p
        WHERE p.job_id = \(job) AND p.metric = \(metric) AND p.step > c.step ORDER BY p.step LIMIT 1
      ) n
      WHERE a.job_id = \(job) AND b.attempt_number <> n.attempt_number
      ORDER BY n.step
      """
    ).map { row in
      SeriesBoundary(
        before: SeriesPoint(
          step: try row.get("before_step"), value: try row.get("before_value"),
          attemptNumber: try row.get("before_attempt"), recordedAt: try row.get("before_at")),
        after: try SeriesPoint(row: row))
    }
  }

  /// How many steps of a metric each attempt, by number, computed again: those that left the curve when it began.
  public func stepsRedone(of job: JobID, _ metric: String) async throws -> [Int: Int] {
    var redone: [Int: Int] = [:]
    for row in try await pool.query(
      """
      SELECT r.number, count(DISTINCT p.step) AS steps
      FROM metric_point_archived p CROSS JOIN LATERAL (
        SELECT a.number FROM attempt a LEFT JOIN checkpoint c ON c.id = a.resume_checkpoint_id
        WHERE a.job_id = p.job_id AND a.number > p.attempt_number AND coalesce(c.step, -1) < p.step
        ORDER BY a.number LIMIT 1
      ) r
      WHERE p.job_id = \(job) AND p.metric = \(metric) GROUP BY r.number ORDER BY r.number
      """)
    {
      redone[try row.get("number")] = try row.get("steps", as: Int.self)
    }
    return redone
  }

  /// How many steps of a run were computed more than once.
  public func stepsRedone(of job: JobID) async throws -> Int {
    try await pool.one("SELECT count(DISTINCT step) AS steps FROM metric_point_archived WHERE job_id = \(job)")
      .get("steps")
  }

  /// What left a run's curves, by metric, step and attempt.
  public func archivedPoints(of job: JobID) async throws -> [ArchivedPoint] {
    try await pool.query(
      """
      SELECT metric, step, value, attempt_number, recorded_at, archived_at, reason
      FROM metric_point_archived WHERE job_id = \(job) ORDER BY metric, step, attempt_number
      """
    ).map(ArchivedPoint.init)
  }

  /// What left one curve at steps `from` to `to`: about the first `limit`, and all of the last step that is given.
  public func archivedPoints(
    of job: JobID, _ metric: String, from: Int64 = 0, to: Int64 = .max, limit: Int
  ) async throws -> [ArchivedPoint] {
    try await pool.query(
      """
      SELECT metric, step, value, attempt_number, recorded_at, archived_at, reason
      FROM (
        SELECT * FROM metric_point_archived
        WHERE job_id = \(job) AND metric = \(metric) AND step BETWEEN \(from) AND \(to)
        ORDER BY step FETCH FIRST (\(limit)::bigint) ROWS WITH TIES
      ) p
      ORDER BY step, attempt_number
      """
    ).map(ArchivedPoint.init)
  }
}

/// A part of a curve, as statements name it.
private struct SeriesRange: Hashable, Sendable {
  var job: JobID
  var metric: String
  var from: Int64
  var to: Int64

  /// What a point `p` of the curve fulfils.
  var curve: SQL { "p.job_id = \(job) AND p.metric = \(metric)" }

  /// What a point `p` of the part fulfils.
  var points: SQL { "\(curve) AND p.step BETWEEN \(from)::bigint AND \(to)::bigint" }

  /// What the part comes to, in short: whole buckets as they are written down, and what lies at its ends from points.
  var stretches: SQL {
    let steps = MetricBucket.steps
    let (first, last) = (max(from, 0) / steps, max(to, 0) / steps)
    if first == last { return ofPoints(from: from, to: to) }
    return """
      SELECT b.points, b.first_step, b.last_step, b.low, b.high, b.not_numbers FROM metric_bucket b
      WHERE b.job_id = \(job) AND b.metric = \(metric) AND b.bucket > \(first)::bigint AND b.bucket < \(last)::bigint
      UNION ALL \(ofPoints(from: from, to: first * steps + (steps - 1)))
      UNION ALL \(ofPoints(from: last * steps, to: to))
      """
  }

  private func ofPoints(from: Int64, to: Int64) -> SQL {
    """
    SELECT count(*) AS points, min(p.step) AS first_step, max(p.step) AS last_step, \(Store.summary)
    FROM metric_point p WHERE \(curve) AND p.step BETWEEN \(from)::bigint AND \(to)::bigint HAVING count(*) > 0
    """
  }

  /// The same for stretches of `width` steps each, from points.
  func stretches(of width: Int64, from start: Int64) -> SQL {
    """
    SELECT count(*) AS points, min(p.step) AS first_step, max(p.step) AS last_step, \(Store.summary)
    FROM metric_point p WHERE \(points) GROUP BY (p.step - \(start)::bigint) / \(width)::bigint
    """
  }
}
