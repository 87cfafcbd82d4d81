public import Domain
import Postgres

extension Store {
  /// The jobs that wait or run, with what they need: those for which data may be brought ahead.
  ///
  /// Their `needs.data` are the versions that are staged whole on every node; jobs without one are left out, and so are
  /// those whose end is wanted.
  public func jobsToStageFor() async throws -> [WaitingJob] {
    let ids: [JobID] = try await pool.query(
      """
      SELECT j.id FROM job j
      WHERE j.ended_at IS NULL AND j.state <> 'HELD' AND j.cancel_requested_at IS NULL
        AND EXISTS (SELECT 1 FROM job_dataset jd WHERE jd.job_id = j.id) ORDER BY j.id
      """
    ).map { try $0.get("id") }
    return ids.isEmpty ? [] : try await jobsGoingOn(ids).filter { !$0.needs.data.isEmpty }
  }

  /// What those of `jobs` that are not over need to go on; of their data, what is staged whole on every node.
  public func jobsGoingOn(_ jobs: [JobID]) async throws -> [WaitingJob] {
    var data: [JobID: [(name: String, version: DatasetVersionID, size: ByteCount)]] = [:]
    for row in try await pool.query(
      """
      SELECT jd.job_id, d.name, v.id, v.total_bytes
      FROM job_dataset jd JOIN dataset_version v ON v.id = jd.dataset_version_id JOIN dataset d ON d.id = v.dataset_id
      WHERE jd.job_id = ANY (\(jobs)::bigint[]) ORDER BY jd.job_id, v.id
      """)
    {
      data[try row.get("job_id"), default: []].append(
        (try row.get("name"), try row.get("id"), try row.get("total_bytes")))
    }
    let assumed = try await assuming(in: pool)
    return try await pool.query(
      """
      SELECT \(Self.waitingColumns) FROM \(Self.waitingSource)
      WHERE j.id = ANY (\(jobs)::bigint[]) AND j.ended_at IS NULL ORDER BY j.id
      """
    ).map { row in
      var job = try WaitingJob(row: row, data: [:], assumed: assumed)
      let copies = (data[job.id] ?? []).filter { dataset in
        job.spec.data.contains { $0.name == dataset.name && $0.mode == .copy }
      }
      job.needs.data = Dictionary(copies.map { ($0.version, $0.size) }) { first, _ in first }
      return job
    }
  }

  /// Writes down that `versions` are on `node`, whole and verified, before `job` needs them there.
  ///
  /// `.stale` where the lease is not ACTIVE any more: its nodes' disks go with it.
  public func recordStagedAhead(
    _ versions: [DatasetVersionID], on node: NodeID, for job: JobID, in lease: LeaseID, bytes: ByteCount,
    took: TimeSpan, by epoch: ControllerEpoch
  ) async throws -> Guarded<NodeID> {
    try await controlled(by: epoch) { transaction in
      let held = try await transaction.first(
        """
        SELECT l.project_id FROM lease l JOIN lease_node n ON n.lease_id = l.id
        WHERE l.id = \(lease) AND l.state = 'ACTIVE' AND n.node_id = \(node) FOR SHARE OF l
        """)
      guard let held else { return .stale }
      try await reviseReplicas(of: node, in: transaction)
      try await transaction.execute(
        """
        INSERT INTO replica (node_id, dataset_version_id, state, verified_at)
        SELECT \(node), v.id, 'VERIFIED', clock_timestamp() FROM unnest(\(versions)::bigint[]) AS v (id)
        ON CONFLICT (node_id, dataset_version_id) DO UPDATE
        SET state = excluded.state, verified_at = excluded.verified_at
        """)
      try await record(
        "node.staged", Subject(node), project: held.get("project_id"), by: .controller(epoch),
        detail: ["job": "\(job)", "lease": "\(lease)", "bytes": "\(bytes.bytes)", "took": "\(took)"], in: transaction)
      return .done(node)
    }
  }

  /// Writes down that somebody played the end of `lease`, and what came of it.
  ///
  /// `.stale` where there is no such lease.
  public func recordDrill(
    of lease: LeaseID, passed: Bool, detail: String, by actor: Actor
  ) async throws -> Guarded<LeaseID> {
    try await permitted(to: actor) { transaction in
      let row = try await transaction.first("SELECT project_id FROM lease WHERE id = \(lease)")
      guard let row else { return .stale }
      try await record(
        "lease.drill", Subject(lease), project: row.get("project_id"), by: actor,
        detail: ["result": passed ? "passed" : "failed", "found": detail], in: transaction)
      return .done(lease)
    }
  }
}
