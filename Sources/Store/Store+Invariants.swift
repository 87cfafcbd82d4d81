import Domain
import Postgres

/// Something that must never be so, and is.
public struct InvariantViolation: Hashable, Sendable, CustomStringConvertible {
  /// Which of the promises is broken, in words.
  public var invariant: String
  /// Where, with the ids.
  public var found: String

  /// Both in one line.
  public var description: String { "\(invariant): \(found)" }
}

extension Store {
  /// What is in the database that must never be so; empty when all is well.
  ///
  /// Of each promise the first `most` places where it is broken; the last of them says how many more there are.
  ///
  /// Changes nothing.
  ///
  /// Most of it the schema forbids already: this looks again without trusting constraint, trigger or index.
  public func invariantViolations(most: Int = 20) async throws -> [InvariantViolation] {
    var found: [InvariantViolation] = []
    for (invariant, sql) in Self.invariants {
      // Some read every point of every curve, at about five million a second.
      let rows = try await pool.query(
        "SELECT q.found, count(*) OVER () AS total FROM (\(sql)) q LIMIT \(most)", timeout: .seconds(600))
      for row in rows { found.append(InvariantViolation(invariant: invariant, found: try row.get("found"))) }
      if let total: Int = try rows.first?.get("total"), total > rows.count {
        found[found.count - 1].found += ", and \(counted(total - rows.count, "more place"))"
      }
    }
    return found
  }

  /// Each gives a row with a text `found` for every violation.
  private static let invariants: [(String, SQL)] = [
    (
      "no GPU belongs to two live attempts",
      """
      SELECT 'gpu ' || g.gpu_index || ' of node ' || g.node_id || ': attempts '
        || string_agg(a.id::text, ', ' ORDER BY a.id) AS found
      FROM attempt_gpu g JOIN attempt a ON a.id = g.attempt_id
      WHERE a.state <> 'ENDED' GROUP BY g.node_id, g.gpu_index HAVING count(*) > 1
      """
    ),
    (
      "no node held whole is shared",
      """
      SELECT 'node ' || n.node_id || ': attempts ' || string_agg(a.id::text, ', ' ORDER BY a.id) AS found
      FROM attempt_node n JOIN attempt a ON a.id = n.attempt_id
      WHERE a.state <> 'ENDED' GROUP BY n.node_id HAVING count(*) > 1 AND bool_or(n.whole)
      """
    ),
    (
      "a GPU is held exactly while its attempt lives",
      """
      SELECT 'attempt ' || a.id || ' is ' || a.state || ', gpu ' || g.gpu_index || ' of node ' || g.node_id AS found
      FROM attempt_gpu g JOIN attempt a ON a.id = g.attempt_id WHERE g.live <> (a.state <> 'ENDED')
      """
    ),
    (
      "no attempt outlives its lease",
      """
      SELECT 'attempt ' || a.id || ' in lease ' || l.id || ', ' || l.state AS found
      FROM attempt a JOIN lease l ON l.id = a.lease_id
      WHERE (a.state <> 'ENDED' AND l.state NOT IN ('ACTIVE', 'ENDING'))
        OR (a.ended_at > upper(l.period) AND a.ended_at > a.created_at)
      """
    ),
    (
      "no node is in two leases at once",
      """
      SELECT 'node ' || x.node_id || ': leases ' || x.lease_id || ' and ' || y.lease_id AS found
      FROM lease_node x JOIN lease_node y ON y.node_id = x.node_id AND y.lease_id > x.lease_id
        AND y.period && x.period
      WHERE x.released_at IS NULL AND y.released_at IS NULL
      """
    ),
    (
      "a lease's nodes are held for its period",
      """
      SELECT 'lease ' || l.id || ', node ' || n.node_id AS found
      FROM lease_node n JOIN lease l ON l.id = n.lease_id
      WHERE n.period <> l.period OR (n.released_at IS NULL) <> (l.state NOT IN ('TERMINATED', 'ERROR'))
      """
    ),
    (
      "an acknowledged submission is never lost",
      """
      SELECT 'job ' || e.subject_id AS found FROM event e
      WHERE e.action = 'job.submit'
        AND NOT EXISTS (SELECT 1 FROM job j JOIN run r ON r.job_id = j.id WHERE j.id = e.subject_id)
      """
    ),
    (
      "latest names only a DURABLE checkpoint of its job",
      """
      SELECT 'job ' || j.id || ', checkpoint ' || c.id || ', ' || c.state AS found
      FROM job j JOIN checkpoint c ON c.id = j.latest_checkpoint_id WHERE c.state <> 'DURABLE' OR c.job_id <> j.id
      """
    ),
    (
      "no checkpoint that somebody pinned was removed",
      """
      SELECT 'checkpoint ' || c.id || ', pinned by ' || p.pinned_by AS found
      FROM checkpoint_pin p JOIN checkpoint c ON c.id = p.checkpoint_id LEFT JOIN job h ON h.id = p.job_id
      WHERE c.state = 'PRUNED' AND (p.job_id IS NULL OR h.ended_at IS NULL)
      """
    ),
    (
      "one value per run, metric and step",
      """
      SELECT 'job ' || p.job_id || ', ' || p.metric || ' at step ' || p.step AS found
      FROM metric_point p GROUP BY p.job_id, p.metric, p.step HAVING count(*) > 1
      """
    ),
    (
      "every stretch of a curve is in short what its points are",
      """
      WITH told AS (
        SELECT b.job_id, b.metric, b.bucket, b.points::bigint, b.first_step, b.last_step, b.low, b.high,
          b.not_numbers::bigint, b.last_attempt FROM metric_bucket b
      ), counted AS (
        SELECT p.job_id, p.metric, p.step / 1024 AS bucket, count(*) AS points, min(p.step) AS first_step,
          max(p.step) AS last_step, \(Self.summary), max(p.attempt_number) AS last_attempt
        FROM metric_point p GROUP BY p.job_id, p.metric, p.step / 1024
      )
      SELECT 'job ' || d.job_id || ', ' || d.metric || ', bucket ' || d.bucket AS found
      FROM ((TABLE told EXCEPT TABLE counted) UNION (TABLE counted EXCEPT TABLE told)) d
      """
    ),
    (
      "every value was computed by an attempt of its job",
      """
      SELECT DISTINCT 'job ' || p.job_id || ', attempt ' || p.attempt_number AS found
      FROM metric_point p LEFT JOIN attempt a ON a.job_id = p.job_id AND a.number = p.attempt_number
      WHERE a.id IS NULL
      """
    ),
    (
      "no value of the curve was computed before a restart that lost it",
      """
      SELECT 'job ' || p.job_id || ', ' || p.metric || ' at step ' || p.step || ' of attempt '
        || p.attempt_number AS found
      FROM metric_point p JOIN attempt a ON a.job_id = p.job_id AND a.number > p.attempt_number
      LEFT JOIN checkpoint c ON c.id = a.resume_checkpoint_id
      WHERE p.step > coalesce(c.step, -1)
      """
    ),
    (
      "a job has a live attempt exactly while its state says so, and one at most",
      """
      SELECT 'job ' || j.id || ' is ' || j.state || ' with ' || count(a.id) || ' live attempts' AS found
      FROM job j LEFT JOIN attempt a ON a.job_id = j.id AND a.state <> 'ENDED'
      GROUP BY j.id, j.state
      HAVING count(a.id) <> CASE WHEN j.state IN ('STAGING', 'LAUNCHING', 'RUNNING', 'CHECKPOINTING') THEN 1 ELSE 0 END
      """
    ),
    (
      "a live attempt and its job are in one state",
      """
      SELECT 'job ' || j.id || ' is ' || j.state || ', attempt ' || a.id || ' is ' || a.state AS found
      FROM job j JOIN attempt a ON a.job_id = j.id WHERE a.state <> 'ENDED' AND a.state <> j.state
      """
    ),
    (
      "no attempt was begun by a controller that never was",
      """
      SELECT 'attempt ' || a.id || ' of epoch ' || a.controller_epoch AS found
      FROM attempt a CROSS JOIN controller c WHERE a.controller_epoch > c.epoch
      """
    ),
    (
      "no later attempt was begun in an earlier controller's turn",
      """
      SELECT 'attempts ' || x.id || ' and ' || y.id || ' of job ' || x.job_id AS found
      FROM attempt x JOIN attempt y ON y.job_id = x.job_id AND y.number > x.number
      WHERE y.controller_epoch < x.controller_epoch OR y.created_at < coalesce(x.ended_at, 'infinity')
      """
    ),
  ]
}
