public import Domain
import Postgres

extension Store {
  /// Everything that a scheduling round looks at, as it was at one moment, and which moment that was.
  ///
  /// Nine statements in one repeatable-read transaction. What a job needs is learned from what it and others needed
  /// (`StartNeeds.init(row:)`). A node's free room is what was measured less a fiftieth of its disk, and less what attempts that are
  /// STAGING on it may still write: nothing of that counts as written before it is there as a whole. What it could evict is `evictable`.
  public func snapshot() async throws -> (snapshot: ClusterSnapshot, takenAt: Timestamp) {
    try await pool.withTransaction(isolation: .repeatableRead, readOnly: true, retries: 5) { transaction in
      let takenAt: Timestamp = try await transaction.one("SELECT clock_timestamp() AS now").get("now")
      let snapshot = ClusterSnapshot(
        nodes: try await nodeSnapshots(in: transaction), leases: try await leaseSnapshots(in: transaction),
        waiting: try await waitingJobs(in: transaction), attempts: try await liveAttempts(in: transaction),
        groups: try await limitedGroups(in: transaction))
      return (snapshot, takenAt)
    }
  }

  private func nodeSnapshots(in transaction: PostgresTransaction) async throws -> [NodeSnapshot] {
    let evictable = try await evictable(in: transaction)
    return try await transaction.query(
      """
      SELECT n.id, n.node_type, n.state, n.drained,
        greatest(n.disk_free - n.disk_total / 50 - s.data - s.rest, 0) AS disk_free,
        greatest(s.data + s.rest + n.disk_total / 50 - n.disk_free, 0) AS disk_owed,
        (SELECT count(*) FROM gpu g WHERE g.node_id = n.id) AS gpu_count,
        ARRAY(SELECT r.dataset_version_id FROM replica r WHERE r.node_id = n.id AND r.state = 'VERIFIED'
          ORDER BY r.dataset_version_id) AS replicas
      FROM node n CROSS JOIN LATERAL (\(Self.stagingRoom)) s ORDER BY n.id
      """
    ).map { row in
      let id: NodeID = try row.get("id")
      return NodeSnapshot(
        id: id, nodeType: try row.get("node_type"), state: try row.get("state"),
        isDrained: try row.get("drained"), gpuCount: try row.get("gpu_count"), diskFree: try row.get("disk_free"),
        diskOwed: try row.get("disk_owed"), replicas: Set(try row.get("replicas", as: [DatasetVersionID].self)),
        evictable: evictable[id] ?? [])
    }
  }

  /// The copies that nodes would evict for a job, by the rules of their agents as far as they are known here.
  ///
  /// Of each content whose copy is whole, and which no attempt that lives or is unsettled uses on that node, and nobody wants on the
  /// node's lease. It counts from the first probe on that came after it was there: else the room that was measured before it came would
  /// count as well. Shares and tars do not count, since nobody writes them down; nor does anything where a node's agent
  /// refused an attempt for want of room `disbelief` ago or less, whose word counts more than what is reckoned here.
  ///
  /// It begins with what lives, and so takes no longer where many attempts are over. `AttemptNodeRecord.noRoom` is in the text,
  /// as in the index that this needs.
  private func evictable(in transaction: PostgresTransaction) async throws -> [NodeID: [EvictableReplica]] {
    var found: [NodeID: [EvictableReplica]] = [:]
    for row in try await transaction.query(
      """
      WITH reading AS MATERIALIZED (
        SELECT id, job_id FROM attempt WHERE state <> 'ENDED'
        UNION SELECT a.id, a.job_id FROM attempt_unsettled s JOIN attempt a ON a.id = s.attempt_id
      ), used AS MATERIALIZED (
        SELECT an.node_id, u.content_id
        FROM reading a JOIN attempt_node an ON an.attempt_id = a.id JOIN job_dataset d ON d.job_id = a.job_id
          JOIN dataset_version u ON u.id = d.dataset_version_id
        UNION SELECT ln.node_id, u.content_id
        FROM lease_node ln JOIN lease_dataset w ON w.lease_id = ln.lease_id
          JOIN dataset_version u ON u.id = w.dataset_version_id
        WHERE ln.released_at IS NULL
      ), disbelieved AS MATERIALIZED (
        SELECT DISTINCT an.node_id FROM attempt_node an
        WHERE an.agent_state = 'diskTooSmall'
          AND an.last_contact_at > clock_timestamp() - make_interval(secs => \(Self.disbelief.seconds))
      )
      SELECT c.node_id, max(v.total_bytes) AS size, array_agg(v.id ORDER BY v.id) AS versions
      FROM (SELECT r.node_id, h.content_id FROM replica r JOIN dataset_version h ON h.id = r.dataset_version_id
          JOIN node n ON n.id = r.node_id
        WHERE r.state = 'VERIFIED' GROUP BY r.node_id, n.last_seen_at, h.content_id
        HAVING max(r.verified_at) < n.last_seen_at) c
      JOIN dataset_version v ON v.content_id = c.content_id
      WHERE NOT EXISTS (SELECT 1 FROM used u WHERE u.node_id = c.node_id AND u.content_id = c.content_id)
        AND NOT EXISTS (SELECT 1 FROM disbelieved b WHERE b.node_id = c.node_id)
      GROUP BY c.node_id, c.content_id ORDER BY c.node_id, c.content_id
      """)
    {
      found[try row.get("node_id"), default: []].append(
        EvictableReplica(
          versions: Set(try row.get("versions", as: [DatasetVersionID].self)), size: try row.get("size")))
    }
    return found
  }

  /// How long the planner counts on no eviction on a node whose agent found too little to evict.
  private static let disbelief = TimeSpan.minutes(10)

  /// What attempts that are STAGING on node `n` need there: `data` that it does not hold, once however many want it, and
  /// the `rest` of each, as the planner counts it before a start.
  private static let stagingRoom: SQL = """
    WITH staging AS (
      SELECT a.job_id, a.resume_checkpoint_id FROM attempt a JOIN attempt_node an ON an.attempt_id = a.id
      WHERE a.state = 'STAGING' AND an.node_id = n.id)
    SELECT
      (SELECT coalesce(sum(v.total_bytes), 0)::bigint FROM dataset_version v
        WHERE v.id IN (SELECT d.dataset_version_id FROM job_dataset d JOIN staging g ON g.job_id = d.job_id)
          AND NOT EXISTS (SELECT 1 FROM replica r
            WHERE r.node_id = n.id AND r.dataset_version_id = v.id AND r.state = 'VERIFIED')) AS data,
      (SELECT coalesce(sum(coalesce(c.bytes, 0) + coalesce((j.spec -> 'resources' ->> 'localDisk')::bigint, 0)
          + 2 * (SELECT coalesce(max(k.bytes), 0) FROM checkpoint k
            WHERE k.job_id = j.id AND k.durable_at IS NOT NULL)), 0)::bigint
        FROM staging g JOIN job j ON j.id = g.job_id LEFT JOIN checkpoint c ON c.id = g.resume_checkpoint_id) AS rest
    """

  private func leaseSnapshots(in transaction: PostgresTransaction) async throws -> [LeaseSnapshot] {
    try await transaction.query(
      """
      SELECT \(LeaseRecord.columns) FROM lease l
      WHERE l.state IN ('PENDING', 'ACTIVE', 'ENDING') ORDER BY lower(l.period), l.id
      """
    ).map { row in
      let lease = try LeaseRecord(row: row)
      return LeaseSnapshot(
        id: lease.id, name: lease.name, project: lease.project, state: lease.state, period: lease.period,
        nodes: lease.nodes)
    }
  }

  private func liveAttempts(in transaction: PostgresTransaction) async throws -> [LiveAttempt] {
    let rows = try await transaction.query(
      "SELECT \(AttemptRecord.columns) FROM \(AttemptRecord.source) WHERE a.state <> 'ENDED' ORDER BY a.id")
    return try await withNodes(rows, in: transaction).map { attempt in
      LiveAttempt(id: attempt.id, job: attempt.job, lease: attempt.lease, placement: attempt.placement)
    }
  }

  private func waitingJobs(in transaction: PostgresTransaction) async throws -> [WaitingJob] {
    var data: [JobID: [DatasetVersionID: ByteCount]] = [:]
    for row in try await transaction.query(
      """
      SELECT jd.job_id, v.id, v.total_bytes
      FROM job_dataset jd JOIN dataset_version v ON v.id = jd.dataset_version_id JOIN job j ON j.id = jd.job_id
      WHERE j.state IN ('PENDING', 'LEASE_WAIT', 'HELD') ORDER BY jd.job_id, v.id
      """)
    {
      data[try row.get("job_id"), default: [:]][try row.get("id")] = try row.get("total_bytes", as: ByteCount.self)
    }
    let assumed = try await assuming(in: transaction)
    return try await transaction.query(
      """
      SELECT \(Self.waitingColumns) FROM \(Self.waitingSource)
      WHERE j.state IN ('PENDING', 'LEASE_WAIT', 'HELD') AND NOT \(Self.isUnsettled)
      ORDER BY j.priority DESC, j.submitted_at, j.id
      """
    ).map { row in
      let id: JobID = try row.get("id")
      return try WaitingJob(row: row, data: data[id] ?? [:], assumed: assumed)
    }
  }
}
