public import Domain
import Postgres

/// Values of one metric by step, as they lie in the database.
public enum SeriesSource: Hashable, Sendable {
  /// A run's curve.
  case curve(of: JobID)
  /// What an attempt computed, by its number in its job; that too which left the curve since.
  case attempt(of: JobID, number: Int)
}

extension Store {
  /// Compares two series of `metric`, where there is `reference` only at its steps, after step `after` up to `upTo`.
  ///
  /// Every value is looked at, as all were at one moment. The database adds up `pointsAtOnce` rows of each table at a
  /// time at most, so that neither memory nor the time of a statement grows with the length of the series.
  public func tally(
    _ metric: String, _ left: SeriesSource, _ right: SeriesSource, at reference: SeriesSource? = nil,
    after: Int64 = -1, upTo: Int64 = .max, pointsAtOnce: Int = 100_000
  ) async throws -> SeriesTally {
    try await pool.withTransaction(isolation: .repeatableRead, readOnly: true) { transaction in
      // To compile such statements takes longer than to run them.
      try await transaction.execute("SET LOCAL jit = off")
      var tally = SeriesTally()
      var part = SeriesPart(metric: metric, left: left, right: right, reference: reference, after: after, upTo: upTo)
      while part.after < upTo {
        try Task.checkCancellation()
        part.upTo = try await end(of: part, points: pointsAtOnce, transaction) ?? upTo
        tally.add(try await self.tally(part, transaction))
        part.after = part.upTo
        part.upTo = upTo
      }
      return tally
    }
  }

  /// The last step after `after` up to `upTo` at which a series has a value; nil for none.
  public func lastStep(
    _ metric: String, _ series: SeriesSource, after: Int64 = -1, upTo: Int64 = .max
  ) async throws -> Int64? {
    try await pool.first(
      """
      SELECT s.step FROM (\(series.values(metric, after: after, upTo: upTo))) s ORDER BY s.step DESC LIMIT 1
      """
    ).map { try $0.get("step") }
  }

  /// Where a part has to end so that it has at most `points` rows of each table; nil where it need not end earlier.
  ///
  /// Rows of other attempts count as well: they have to be read too, and so each search is one walk along an index.
  private func end(of part: SeriesPart, points: Int, _ transaction: PostgresTransaction) async throws -> Int64? {
    let sources = Set([part.left, part.right] + [part.reference].compactMap(\.self))
    var ends: [Int64] = []
    for table in Set(sources.flatMap(\.tables)) {
      let end: Int64? = try await transaction.first(
        """
        SELECT p.step FROM \(table.name) p
        WHERE p.job_id = \(table.job) AND p.metric = \(part.metric)
          AND p.step > \(part.after)::bigint AND p.step <= \(part.upTo)::bigint
        ORDER BY p.step OFFSET \(points - 1)::bigint LIMIT 1
        """
      ).map { try $0.get("step") }
      if let end { ends.append(end) }
    }
    return ends.min()
  }

  private func tally(_ part: SeriesPart, _ transaction: PostgresTransaction) async throws -> SeriesTally {
    let row = try await transaction.one(
      """
      SELECT count(*) FILTER (WHERE d.a IS NOT NULL AND d.b IS NOT NULL) AS compared,
        count(*) FILTER (WHERE d.is_equal) AS equal,
        count(*) FILTER (WHERE d.b IS NULL) AS only_left, count(*) FILTER (WHERE d.a IS NULL) AS only_right,
        min(d.step) FILTER (WHERE NOT d.is_equal) AS differs_at, min(d.step) FILTER (WHERE d.b IS NULL) AS missing_at,
        coalesce(max(d.difference), 0) AS difference,
        coalesce(max(CASE WHEN d.difference = 'Infinity' THEN 'Infinity'
          ELSE d.difference / greatest(abs(d.a), abs(d.b)) END) FILTER (WHERE d.difference > 0), 0) AS relative
      FROM (
        SELECT step, l.value AS a, r.value AS b,
          l.value = r.value AND (l.value <> 0 OR float8send(l.value) = float8send(r.value)) AS is_equal,
          \(Self.difference) AS difference
        FROM (\(part.leftValues)) l FULL JOIN (\(part.rightValues)) r USING (step)
      ) d
      """)
    var tally = SeriesTally()
    tally.compared = try row.get("compared")
    tally.equal = try row.get("equal")
    tally.onlyLeft = try row.get("only_left")
    tally.onlyRight = try row.get("only_right")
    tally.largestDifference = try row.get("difference")
    tally.largestRelative = try row.get("relative")
    tally.firstDifference = try await values(of: part, at: row.get("differs_at"), transaction)
    tally.firstOnlyLeft = try await values(of: part, at: row.get("missing_at"), transaction)
    return tally
  }

  /// How far `l.value` and `r.value` are apart.
  ///
  /// PostgreSQL holds NaN for a number, equal to itself, and refuses a sum that is too great for one.
  private static let difference: SQL = """
    CASE WHEN l.value IS NULL OR r.value IS NULL THEN NULL WHEN l.value = r.value THEN 0
    WHEN l.value IN ('NaN', 'Infinity', '-Infinity') OR r.value IN ('NaN', 'Infinity', '-Infinity')
      OR ((l.value < 0) <> (r.value < 0) AND abs(l.value) > 1.7976931348623157e308 - abs(r.value)) THEN 'Infinity'
    ELSE abs(l.value - r.value) END
    """

  private func values(
    of part: SeriesPart, at step: Int64?, _ transaction: PostgresTransaction
  ) async throws -> SeriesTally.Difference? {
    guard let step else { return nil }
    var one = part
    (one.after, one.upTo) = (step - 1, step)
    let row = try await transaction.one(
      """
      SELECT l.value AS a, r.value AS b FROM (\(one.leftValues)) l LEFT JOIN (\(one.rightValues)) r USING (step)
      """)
    return SeriesTally.Difference(step: step, left: try row.get("a"), right: try row.get("b"))
  }
}

/// What is compared at a time.
private struct SeriesPart: Hashable, Sendable {
  var metric: String
  var left: SeriesSource
  var right: SeriesSource
  var reference: SeriesSource?
  var after: Int64
  var upTo: Int64

  var leftValues: SQL {
    let values = left.values(metric, after: after, upTo: upTo)
    guard let reference else { return values }
    return """
      SELECT s.step, s.value FROM (\(values)) s
      WHERE s.step IN (SELECT m.step FROM (\(reference.values(metric, after: after, upTo: upTo))) m)
      """
  }

  var rightValues: SQL { right.values(metric, after: after, upTo: upTo) }
}

/// Where a series lies.
private struct SeriesTable: Hashable, Sendable {
  var job: JobID
  var isArchive = false

  var name: SQL { isArchive ? "metric_point_archived" : "metric_point" }
}

extension SeriesSource {
  /// The tables that it lies in.
  fileprivate var tables: [SeriesTable] {
    switch self {
    case .curve(let job): [SeriesTable(job: job)]
    case .attempt(let job, _): [SeriesTable(job: job), SeriesTable(job: job, isArchive: true)]
    }
  }

  /// Its steps and values after step `after` up to `upTo`.
  fileprivate func values(_ metric: String, after: Int64, upTo: Int64) -> SQL {
    func part(_ condition: SQL) -> SQL {
      "\(condition) AND p.metric = \(metric) AND p.step > \(after)::bigint AND p.step <= \(upTo)::bigint"
    }
    switch self {
    case .curve(let job):
      return "SELECT p.step, p.value FROM metric_point p WHERE \(part("p.job_id = \(job)"))"
    case .attempt(let job, let number):
      let own = part("p.job_id = \(job) AND p.attempt_number = \(number)")
      return """
        SELECT p.step, p.value FROM metric_point p WHERE \(own)
        UNION ALL SELECT p.step, p.value FROM metric_point_archived p WHERE \(own)
        """
    }
  }
}
