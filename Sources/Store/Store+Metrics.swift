public import Domain
import Postgres

/// One value of a metric at a step.
public struct MetricPoint: Hashable, Sendable {
  /// Which metric.
  public var metric: String
  /// At which step; not negative.
  public var step: Int64
  /// Its value.
  public var value: Double
  /// When the program said so, by the node's clock.
  public var recordedAt: Timestamp

  /// A value.
  public init(metric: String, step: Int64, value: Double, recordedAt: Timestamp) {
    self.metric = metric
    self.step = step
    self.value = value
    self.recordedAt = recordedAt
  }
}

/// A stretch of a node's metrics file.
public struct MetricBatch: Hashable, Sendable {
  /// Whose metrics.
  public var attempt: AttemptID
  /// On which node the file is.
  public var node: NodeID
  /// Where the stretch begins in the file: where the one before ended.
  public var fromOffset: Int64
  /// Where it ends.
  public var toOffset: Int64
  /// What it says, in its order.
  public var points: [MetricPoint]
  /// What ranks say in it about the state that they loaded.
  public var loaded: [LoadedState]
  /// The entry of the agent's journal that told of it; nil where none did.
  public var journalSequence: Int64?

  /// A stretch.
  public init(
    attempt: AttemptID, node: NodeID, fromOffset: Int64, toOffset: Int64, points: [MetricPoint],
    loaded: [LoadedState] = [], journalSequence: Int64? = nil
  ) {
    self.journalSequence = journalSequence
    self.attempt = attempt
    self.node = node
    self.fromOffset = fromOffset
    self.toOffset = toOffset
    self.points = points
    self.loaded = loaded
  }
}

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
}

extension Store {
  /// Takes in a stretch of metrics exactly once, and gives how many points are new.
  ///
  /// Points and the offset they were read to are written in one transaction: a controller that died in between reads
  /// the same stretch again, and one that comes too late finds the offset moved and gets `.stale`. So does one whose
  /// attempt is not the newest of its job any more, since what that computed is computed again. At a step that has a
  /// value the same attempt's later word counts, and an earlier attempt's value stays.
  public func ingest(_ batch: MetricBatch, by epoch: ControllerEpoch) async throws -> Guarded<Int> {
    try await controlled(by: epoch) { transaction in
      // The job's lock keeps a start from archiving at this moment.
      let job = try await transaction.first(
        """
        SELECT j.id, a.number FROM job j JOIN attempt a ON a.job_id = j.id
        WHERE a.id = \(batch.attempt) AND a.number = (SELECT max(n.number) FROM attempt n WHERE n.job_id = j.id)
        FOR NO KEY UPDATE OF j
        """)
      guard let job else { return .stale }
      let moved = try await transaction.execute(
        """
        UPDATE attempt_node
        SET metrics_offset = \(batch.toOffset), last_contact_at = clock_timestamp(),
          journal_seq = greatest(journal_seq, \(batch.journalSequence)::bigint),
          last_step_at = CASE WHEN live AND \(!batch.points.isEmpty) THEN clock_timestamp() ELSE last_step_at END
        WHERE attempt_id = \(batch.attempt) AND node_id = \(batch.node) AND metrics_offset = \(batch.fromOffset)
        """)
      guard moved == 1 else { return .stale }
      try await note(batch.loaded, of: batch.attempt, in: transaction)
      guard !batch.points.isEmpty else { return .done(0) }
      try await transaction.execute(
        """
        UPDATE attempt SET first_step_at = clock_timestamp()
        WHERE id = \(batch.attempt) AND first_step_at IS NULL AND state <> 'ENDED'
        """)
      // Equal notifications of one transaction are one, and a curve that grows wakes only those who look at it.
      try await transaction.execute("SELECT pg_notify('baton', 'metrics:' || \(job.get("id", as: JobID.self))::bigint)")
      return .done(
        try await append(batch.points, to: job.get("id"), attempt: job.get("number", as: Int.self), in: transaction))
    }
  }

  private func append(
    _ points: [MetricPoint], to job: JobID, attempt number: Int, in transaction: PostgresTransaction
  ) async throws -> Int {
    // One statement cannot write a row twice: of two words about one step in a batch the later counts.
    try await transaction.one(
      """
      WITH said AS (
        SELECT DISTINCT ON (s.metric, s.step) s.metric, s.step, s.value, s.recorded_at
        FROM unnest(\(points.map(\.metric))::text[], \(points.map(\.step))::bigint[],
          \(points.map(\.value))::double precision[], \(points.map(\.recordedAt))::timestamptz[])
          WITH ORDINALITY AS s (metric, step, value, recorded_at, place)
        ORDER BY s.metric, s.step, s.place DESC
      ), written AS (
        INSERT INTO metric_point AS p (job_id, metric, step, value, attempt_number, recorded_at)
        SELECT \(job), s.metric, s.step, s.value, \(number), s.recorded_at FROM said s
        ON CONFLICT (job_id, metric, step) DO UPDATE SET value = excluded.value, recorded_at = excluded.recorded_at
        WHERE p.attempt_number = excluded.attempt_number AND p.value <> excluded.value
        RETURNING p.xmax = 0 AS is_new
      )
      SELECT count(*) AS new_points FROM written WHERE is_new
      """
    ).get("new_points")
  }

  /// The names of a run's metrics, sorted.
  public func metrics(of job: JobID) async throws -> [String] {
    try await pool.query("SELECT DISTINCT metric FROM metric_point WHERE job_id = \(job) ORDER BY metric")
      .map { try $0.get("metric") }
  }

  /// A run's curve, by step: one value a step, whatever happened in between.
  ///
  /// Where there are more than `maxPoints`, every n-th so that no more are given, but for the last, which always is.
  public func series(
    _ job: JobID, _ metric: String, from: Int64 = 0, to: Int64 = .max, maxPoints: Int = 10_000
  ) async throws -> [SeriesPoint] {
    try await pool.query(
      """
      SELECT s.step, s.value, s.attempt_number, s.recorded_at
      FROM (
        SELECT step, value, attempt_number, recorded_at, row_number() OVER (ORDER BY step) AS place,
          count(*) OVER () AS total
        FROM metric_point WHERE job_id = \(job) AND metric = \(metric) AND step BETWEEN \(from) AND \(to)
      ) s
      WHERE (s.total - s.place) % greatest((s.total + \(maxPoints) - 1) / greatest(\(maxPoints), 1), 1) = 0
      ORDER BY s.step
      """
    ).map(SeriesPoint.init)
  }

  /// What left a run's curve, by metric, step and attempt.
  public func archivedPoints(of job: JobID) async throws -> [ArchivedPoint] {
    try await pool.query(
      """
      SELECT metric, step, value, attempt_number, recorded_at, archived_at, reason
      FROM metric_point_archived WHERE job_id = \(job) ORDER BY metric, step, attempt_number
      """
    ).map { row in
      ArchivedPoint(
        metric: try row.get("metric"), point: try SeriesPoint(row: row), archivedAt: try row.get("archived_at"),
        reason: try row.get("reason"))
    }
  }
}
