public import Domain
import Postgres

extension Store {
  /// Begins an attempt: what the planner decided becomes so, if the world is still as the planner saw it.
  ///
  /// Looks again, under locks: the epoch is the controller's, the job waits and nobody wants its end, its group lets
  /// one more of its jobs run, the lease is the project's, ACTIVE and not over by the database's clock, the nodes are of the lease, ALIVE and not drained, the
  /// GPUs are there and free. `.stale` where any of it is not so. The attempt resumes from the job's latest
  /// checkpoint, or from that of another run which the job was submitted with, while it has none; the points of the run
  /// after that step go to the archive in the same transaction, all of them where there is no checkpoint.
  public func start(_ start: Start, by epoch: ControllerEpoch) async throws -> Guarded<AttemptRecord> {
    do {
      let result = try await controlled(by: epoch) { transaction in
        guard let latest = try await lockForStart(start, by: epoch, in: transaction) else {
          return Guarded<AttemptID>.stale
        }
        guard try await isFree(start.placement, in: transaction) else { return .stale }
        return .done(try await insertAttempt(start, latest, by: epoch, in: transaction))
      }
      guard case .done(let id) = result else { return .stale }
      return .done(try await attempt(id))
    } catch let error as PostgresError where error.isLostRace {
      return .stale
    }
  }

  /// What a start found of its job.
  private struct JobAtStart {
    var project: ProjectID
    var checkpoint: CheckpointID?
    var step: Int64?
  }

  /// Locks job, its group where that has a limit, lease and nodes, in this order everywhere; nil where one of them is not as a start needs it.
  private func lockForStart(
    _ start: Start, by epoch: ControllerEpoch, in transaction: PostgresTransaction
  ) async throws -> JobAtStart? {
    let job = try await transaction.first(
      """
      SELECT j.project_id, \(Self.resumed) AS checkpoint
      FROM job j
      WHERE j.id = \(start.job) AND j.state IN ('PENDING', 'LEASE_WAIT') AND j.cancel_requested_at IS NULL
        AND NOT \(Self.isUnsettled) FOR UPDATE
      """)
    guard let job, try await hasTurn(start.job, in: transaction) else { return nil }
    var found = JobAtStart(project: try job.get("project_id"), checkpoint: try job.get("checkpoint"))
    if let checkpoint = found.checkpoint {
      // Only a statement that begins under the lock sees what was committed while this one waited for it.
      let row = try await transaction.first(
        "SELECT step FROM checkpoint WHERE id = \(checkpoint) AND state = 'DURABLE'")
      guard let row else { return nil }
      found.step = try row.get("step")
    }
    let lease = try await transaction.first(
      """
      SELECT 1 AS usable FROM lease
      WHERE id = \(start.lease) AND state = 'ACTIVE' AND period @> clock_timestamp() AND project_id = \(found.project)
      FOR SHARE
      """)
    guard lease != nil, !start.placement.shares.isEmpty else { return nil }
    let nodes = try await transaction.query(
      """
      SELECT n.id FROM node n
      WHERE n.id = ANY (\(start.placement.nodes)::bigint[]) AND n.state = 'ALIVE' AND NOT n.drained
        AND EXISTS (
          SELECT 1 FROM lease_node ln
          WHERE ln.lease_id = \(start.lease) AND ln.node_id = n.id AND ln.released_at IS NULL)
      ORDER BY n.id FOR UPDATE
      """)
    return nodes.count == start.placement.shares.count ? found : nil
  }

  /// Whether the group of `job` lets one more of its jobs have an attempt; a group without a limit always does.
  private func hasTurn(_ job: JobID, in transaction: PostgresTransaction) async throws -> Bool {
    let group = try await transaction.first(
      """
      SELECT g.id, g.at_most FROM job_group g JOIN job j ON j.group_id = g.id
      WHERE j.id = \(job) AND g.at_most IS NOT NULL FOR NO KEY UPDATE OF g
      """)
    guard let group else { return true }
    // Only a statement that begins under the lock sees what was committed while this one waited for it.
    let row = try await transaction.one(
      """
      SELECT count(*) AS running FROM attempt a JOIN job j ON j.id = a.job_id
      WHERE j.group_id = \(try group.get("id", as: JobGroupID.self)) AND a.state <> 'ENDED'
      """)
    return try row.get("running", as: Int.self) < group.get("at_most", as: Int.self)
  }

  /// What the next attempt of job `j` resumes from; NULL where it begins anew.
  static let resumed: SQL =
    """
    coalesce(j.latest_checkpoint_id, (SELECT r.start_checkpoint_id FROM run r WHERE r.job_id = j.id))
    """

  private func isFree(_ placement: Placement, in transaction: PostgresTransaction) async throws -> Bool {
    let whole = placement.shares.filter(\.gpus.isEmpty).map(\.node)
    let wanted = GPUColumns(placement)
    let row = try await transaction.one(
      """
      SELECT
        (SELECT count(*) FROM unnest(\(wanted.nodes)::bigint[], \(wanted.indices)::integer[]) AS w (node_id, gpu_index)
          JOIN gpu g ON g.node_id = w.node_id AND g.gpu_index = w.gpu_index) AS present,
        EXISTS (SELECT 1 FROM unnest(\(wanted.nodes)::bigint[], \(wanted.indices)::integer[]) AS w (node_id, gpu_index)
          JOIN attempt_gpu g ON g.node_id = w.node_id AND g.gpu_index = w.gpu_index AND g.live) AS busy_gpu,
        EXISTS (SELECT 1 FROM attempt_node n
          WHERE n.live AND n.node_id = ANY (\(placement.nodes)::bigint[])
            AND (n.whole OR n.node_id = ANY (\(whole)::bigint[]))) AS busy_node
      """)
    guard try row.get("present", as: Int.self) == wanted.nodes.count else { return false }
    return try !row.get("busy_gpu", as: Bool.self) && !row.get("busy_node", as: Bool.self)
  }

  private func insertAttempt(
    _ start: Start, _ job: JobAtStart, by epoch: ControllerEpoch, in transaction: PostgresTransaction
  ) async throws -> AttemptID {
    let row = try await transaction.one(
      """
      INSERT INTO attempt (job_id, number, lease_id, controller_epoch, resume_checkpoint_id)
      SELECT \(start.job), coalesce(max(number), 0) + 1, \(start.lease), \(epoch), \(job.checkpoint)::bigint
      FROM attempt WHERE job_id = \(start.job)
      RETURNING id, number
      """)
    let id: AttemptID = try row.get("id")
    let shares = start.placement.shares
    try await transaction.execute(
      """
      INSERT INTO attempt_node (attempt_id, node_id, node_rank, whole)
      SELECT \(id), n.node_id, n.rank - 1, n.whole
      FROM unnest(\(shares.map(\.node))::bigint[], \(shares.map { $0.gpus.isEmpty ? "t" : "f" })::boolean[])
        WITH ORDINALITY AS n (node_id, whole, rank)
      """)
    let gpus = GPUColumns(start.placement)
    try await transaction.execute(
      """
      INSERT INTO attempt_gpu (attempt_id, node_id, gpu_index)
      SELECT \(id), g.node_id, g.gpu_index
      FROM unnest(\(gpus.nodes)::bigint[], \(gpus.indices)::integer[]) AS g (node_id, gpu_index)
      """)
    let archived = try await archivePoints(of: start.job, after: job.step, in: transaction)
    try await transaction.execute(
      """
      UPDATE job
      SET state = 'STAGING', reason = NULL, reason_detail = NULL, started_at = coalesce(started_at, clock_timestamp())
      WHERE id = \(start.job)
      """)
    let detail = [
      "job": "\(start.job)", "lease": "\(start.lease)", "number": "\(try row.get("number", as: Int.self))",
      "resumeStep": job.step.map(String.init) ?? "-", "archivedPoints": "\(archived)",
    ]
    try await record(
      "attempt.start", Subject(id), project: job.project, by: .controller(epoch), detail: detail, in: transaction)
    return id
  }
}

/// The GPUs of a placement as two columns.
private struct GPUColumns {
  var nodes: [NodeID] = []
  var indices: [Int] = []

  init(_ placement: Placement) {
    for share in placement.shares {
      nodes += share.gpus.map { _ in share.node }
      indices += share.gpus
    }
  }
}

extension PostgresError {
  /// A constraint kept two starts apart that both found everything free.
  fileprivate var isLostRace: Bool {
    switch code {
    case .uniqueViolation: constraint?.hasPrefix("attempt") == true
    case .checkViolation: constraint == "attempt_needs_lease" || constraint == "attempt_node_is_leased"
    default: false
    }
  }
}
