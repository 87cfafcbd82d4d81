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
    let ends = try await ends(of: Array(Set(points.map(\.metric))), in: job, transaction)
    let sorted = IncomingPoints(points, after: ends)
    // Nobody else writes points of this job now, so what lies behind a curve's end meets nothing.
    var rows = CopyRows()
    rows.reserve(sorted.fresh.count * 80)
    for point in sorted.fresh {
      rows.add(job)
      rows.add(point.metric)
      rows.add(point.step)
      rows.add(point.value)
      rows.add(number)
      rows.add(point.recordedAt)
      rows.endRow()
    }
    var count = try await transaction.copy(
      rows, into: "metric_point", columns: ["job_id", "metric", "step", "value", "attempt_number", "recorded_at"])
    if !sorted.others.isEmpty { count += try await merge(sorted.others, into: job, attempt: number, transaction) }
    try await refresh(sorted.buckets, of: job, in: transaction)
    return count
  }

  /// The last step of each of `metrics` that has one.
  private func ends(
    of metrics: [String], in job: JobID, _ transaction: PostgresTransaction
  ) async throws -> [String: Int64] {
    var ends: [String: Int64] = [:]
    for row in try await transaction.query(
      """
      SELECT m.metric, e.last_step
      FROM unnest(\(metrics)::text[]) AS m (metric) CROSS JOIN LATERAL (
        SELECT b.last_step FROM metric_bucket b WHERE b.job_id = \(job) AND b.metric = m.metric
        ORDER BY b.bucket DESC LIMIT 1
      ) e
      ORDER BY m.metric
      """)
    {
      ends[try row.get("metric")] = try row.get("last_step", as: Int64.self)
    }
    return ends
  }

  /// Takes in what may be about steps that have a value already.
  private func merge(
    _ points: [MetricPoint], into job: JobID, attempt number: Int, _ transaction: PostgresTransaction
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

  /// Writes anew what each of `buckets` comes to; none of them may be empty now that was not.
  func refresh(_ buckets: Set<MetricBucket>, of job: JobID, in transaction: PostgresTransaction) async throws {
    guard !buckets.isEmpty else { return }
    // In one order everywhere, as for all rows that several may write.
    let sorted = buckets.sorted { ($0.metric, $0.number) < ($1.metric, $1.number) }
    try await transaction.execute(
      """
      INSERT INTO metric_bucket (
        job_id, metric, bucket, points, first_step, last_step, low, high, not_numbers, last_attempt)
      SELECT \(job), t.metric, t.bucket, s.points, s.first_step, s.last_step, s.low, s.high, s.not_numbers,
        s.last_attempt
      FROM unnest(\(sorted.map(\.metric))::text[], \(sorted.map(\.number))::bigint[]) AS t (metric, bucket)
      CROSS JOIN LATERAL (
        SELECT count(*) AS points, min(p.step) AS first_step, max(p.step) AS last_step,
          \(Self.summary), max(p.attempt_number) AS last_attempt
        FROM metric_point p
        WHERE p.job_id = \(job) AND p.metric = t.metric
          AND p.step BETWEEN t.bucket * \(MetricBucket.steps)::bigint
            AND t.bucket * \(MetricBucket.steps)::bigint + \(MetricBucket.steps - 1)::bigint
      ) s
      WHERE s.points > 0
      ON CONFLICT (job_id, metric, bucket) DO UPDATE
      SET points = excluded.points, first_step = excluded.first_step, last_step = excluded.last_step,
        low = excluded.low, high = excluded.high, not_numbers = excluded.not_numbers,
        last_attempt = excluded.last_attempt
      """)
  }

  /// What a stretch of points `p` comes to beside its number and ends.
  ///
  /// PostgreSQL holds NaN for the greatest number.
  static let summary: SQL = """
    min(p.value) FILTER (WHERE p.value > '-Infinity' AND p.value < 'Infinity') AS low,
    max(p.value) FILTER (WHERE p.value > '-Infinity' AND p.value < 'Infinity') AS high,
    count(*) FILTER (WHERE NOT (p.value > '-Infinity' AND p.value < 'Infinity')) AS not_numbers
    """

  /// Moves the points of steps greater than `step`, or all, out of a job's curves into the archive, and counts them.
  ///
  /// What an attempt computed after its last checkpoint is computed again.
  func archivePoints(of job: JobID, after step: Int64?, in transaction: PostgresTransaction) async throws -> Int {
    let step = step ?? -1
    let gone = try await transaction.query(
      """
      DELETE FROM metric_bucket WHERE job_id = \(job) AND last_step > \(step) RETURNING metric, bucket
      """
    ).map { MetricBucket(metric: try $0.get("metric"), number: try $0.get("bucket")) }
    guard !gone.isEmpty else { return 0 }
    let moved = try await transaction.execute(
      """
      WITH gone AS (
        DELETE FROM metric_point p USING unnest(\(Array(Set(gone.map(\.metric))))::text[]) AS m (metric)
        WHERE p.job_id = \(job) AND p.metric = m.metric AND p.step > \(step)
        RETURNING p.job_id, p.metric, p.step, p.value, p.attempt_number, p.recorded_at
      )
      INSERT INTO metric_point_archived (job_id, metric, step, value, attempt_number, recorded_at, reason)
      SELECT job_id, metric, step, value, attempt_number, recorded_at, 'resumed from an earlier step' FROM gone
      """)
    // Of a stretch that the resume lies in, the beginning stays.
    let cut = gone.filter { step >= 0 && $0.number == step / MetricBucket.steps }
    try await refresh(Set(cut), of: job, in: transaction)
    return moved
  }
}
