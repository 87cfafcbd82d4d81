public import Domain
import Postgres

extension Store {
  /// One attempt.
  ///
  /// Throws `.notFound`.
  public func attempt(_ id: AttemptID) async throws -> AttemptRecord {
    let rows = try await pool.query("SELECT \(AttemptRecord.columns) FROM \(AttemptRecord.source) WHERE a.id = \(id)")
    guard let attempt = try await withNodes(rows, in: pool).first else {
      throw StoreError.notFound(kind: "attempt", name: "\(id)")
    }
    return attempt
  }

  /// The attempts of a job, by number.
  public func attempts(of job: JobID) async throws -> [AttemptRecord] {
    let rows = try await pool.query(
      "SELECT \(AttemptRecord.columns) FROM \(AttemptRecord.source) WHERE a.job_id = \(job) ORDER BY a.number")
    return try await withNodes(rows, in: pool)
  }

  /// Attempts that existed at some moment of `period`, oldest first, at most `limit`; those of one project, or of all.
  public func attempts(
    in period: Period, project: ProjectID? = nil, limit: Int
  ) async throws -> [AttemptRecord] {
    let rows = try await pool.query(
      """
      SELECT * FROM (
        SELECT \(AttemptRecord.columns) FROM \(AttemptRecord.source)
        WHERE a.created_at < \(period.end) AND (a.ended_at IS NULL OR a.ended_at > \(period.start))
          AND (\(project)::bigint IS NULL
            OR EXISTS (SELECT 1 FROM job p WHERE p.id = a.job_id AND p.project_id = \(project)::bigint))
        ORDER BY a.id DESC LIMIT \(limit)
      ) newest ORDER BY id
      """)
    return try await withNodes(rows, in: pool)
  }

  /// Every attempt that is not over, oldest first: what a controller that has just taken over has to look after.
  public func liveAttempts() async throws -> [AttemptRecord] {
    let rows = try await pool.query(
      "SELECT \(AttemptRecord.columns) FROM \(AttemptRecord.source) WHERE a.state <> 'ENDED' ORDER BY a.id")
    return try await withNodes(rows, in: pool)
  }

  func withNodes(_ rows: [Row], in executor: some SQLExecutor) async throws -> [AttemptRecord] {
    if rows.isEmpty { return [] }
    let ids = try rows.map { try $0.get("id", as: AttemptID.self) }
    var nodes: [AttemptID: [AttemptNodeRecord]] = [:]
    for row in try await executor.query(
      """
      SELECT n.attempt_id, n.node_id, n.node_rank, n.agent_state, n.journal_seq, n.metrics_offset, n.last_contact_at,
        ARRAY(SELECT g.gpu_index FROM attempt_gpu g WHERE g.attempt_id = n.attempt_id AND g.node_id = n.node_id
          ORDER BY g.gpu_index) AS gpus
      FROM attempt_node n WHERE n.attempt_id = ANY (\(ids)::bigint[]) ORDER BY n.attempt_id, n.node_rank
      """)
    {
      nodes[try row.get("attempt_id"), default: []].append(try AttemptNodeRecord(row: row))
    }
    return try rows.map { try AttemptRecord(row: $0, nodes: nodes[try $0.get("id")] ?? []) }
  }

  /// Every node is staged: its ranks are being started, rank 0 listening on `masterPort`.
  ///
  /// `.stale` unless STAGING.
  public func markLaunching(
    _ attempt: AttemptID, masterPort: Int, by epoch: ControllerEpoch
  ) async throws -> Guarded<AttemptID> {
    try await move(attempt, to: .launching, job: .launching, by: epoch) { transaction in
      try await transaction.execute(
        """
        UPDATE attempt SET state = 'LAUNCHING', launched_at = clock_timestamp(), master_port = \(masterPort)
        WHERE id = \(attempt) AND state = ANY (\(AttemptState.launching.predecessorNames)::text[])
        """)
    }
  }

  /// Every rank runs.
  ///
  /// `.stale` unless LAUNCHING.
  public func markRunning(_ attempt: AttemptID, by epoch: ControllerEpoch) async throws -> Guarded<AttemptID> {
    try await move(attempt, to: .running, job: .running, by: epoch) { transaction in
      try await transaction.execute(
        """
        UPDATE attempt SET state = 'RUNNING', running_at = clock_timestamp()
        WHERE id = \(attempt) AND state = ANY (\(AttemptState.running.predecessorNames)::text[])
        """)
    }
  }

  /// The program was told to save and leave.
  ///
  /// `.stale` unless LAUNCHING or RUNNING.
  public func markCheckpointing(_ attempt: AttemptID, by epoch: ControllerEpoch) async throws -> Guarded<AttemptID> {
    try await move(attempt, to: .checkpointing, job: .checkpointing, by: epoch) { transaction in
      try await transaction.execute(
        """
        UPDATE attempt SET state = 'CHECKPOINTING', checkpointing_at = clock_timestamp()
        WHERE id = \(attempt) AND state = ANY (\(AttemptState.checkpointing.predecessorNames)::text[])
        """)
    }
  }

  /// Moves attempt and job together, the job locked first as everywhere.
  private func move(
    _ attempt: AttemptID, to state: AttemptState, job jobState: JobState, by epoch: ControllerEpoch,
    _ update: (PostgresTransaction) async throws -> Int
  ) async throws -> Guarded<AttemptID> {
    try await controlled(by: epoch) { transaction in
      let row = try await transaction.first(
        """
        SELECT j.id, j.project_id FROM job j JOIN attempt a ON a.job_id = j.id WHERE a.id = \(attempt) FOR UPDATE OF j
        """)
      guard let row else { return .stale }
      guard try await update(transaction) == 1 else { return .stale }
      let job: JobID = try row.get("id")
      try await transaction.execute(
        """
        UPDATE job
        SET state = \(jobState)::text,
          node_failures = CASE WHEN \(jobState)::text = 'RUNNING' THEN 0 ELSE node_failures END
        WHERE id = \(job) AND state = ANY (\(jobState.predecessorNames)::text[])
        """)
      try await record(
        "attempt.\(state.rawValue.lowercased())", Subject(attempt), project: row.get("project_id"),
        by: .controller(epoch), in: transaction)
      return .done(attempt)
    }
  }

  /// Writes down how long the checkpoint to resume from took to come to a node.
  ///
  /// `.stale` where the attempt is not on that node.
  public func recordRestore(
    _ attempt: AttemptID, node: NodeID, took: TimeSpan, by epoch: ControllerEpoch
  ) async throws -> Guarded<AttemptID> {
    try await controlled(by: epoch) { transaction in
      let count = try await transaction.execute(
        """
        UPDATE attempt_node SET restore_seconds = \(max(took, .zero).seconds)
        WHERE attempt_id = \(attempt) AND node_id = \(node)
        """)
      return count == 1 ? .done(attempt) : .stale
    }
  }

  /// The moments that the handoffs of a job are measured from, by the numbers of its attempts.
  public func moments(of job: JobID) async throws -> [AttemptMoments] {
    try await pool.query(
      """
      SELECT a.number, lower(l.period) AS starts_at, least(upper(l.period), l.terminated_at) AS ends_at, a.created_at,
        a.launched_at, a.running_at, a.first_step_at, n.last_step_at, n.restore_seconds, c.created_at AS local_at,
        c.durable_at
      FROM attempt a JOIN lease l ON l.id = a.lease_id LEFT JOIN checkpoint c ON c.id = a.resume_checkpoint_id
      CROSS JOIN LATERAL (
        SELECT max(an.last_step_at) AS last_step_at, max(an.restore_seconds) AS restore_seconds
        FROM attempt_node an WHERE an.attempt_id = a.id) n
      WHERE a.job_id = \(job) ORDER BY a.number
      """
    ).map(AttemptMoments.init)
  }

  /// Writes down what a node's agent said last.
  ///
  /// `.stale` where the attempt is not on that node, or an older entry of its journal comes after a newer one.
  public func recordContact(
    _ attempt: AttemptID, node: NodeID, agentState: String, journalSequence: Int64, by epoch: ControllerEpoch
  ) async throws -> Guarded<AttemptID> {
    try await controlled(by: epoch) { transaction in
      let count = try await transaction.execute(
        """
        UPDATE attempt_node
        SET agent_state = \(agentState), journal_seq = \(journalSequence), last_contact_at = clock_timestamp()
        WHERE attempt_id = \(attempt) AND node_id = \(node) AND journal_seq <= \(journalSequence)
        """)
      return count == 1 ? .done(attempt) : .stale
    }
  }
}

extension AttemptMoments {
  fileprivate init(row: Row) throws {
    self.init(
      number: try row.get("number"), lease: try row.period("starts_at", "ends_at"), createdAt: try row.get("created_at")
    )
    launchedAt = try row.get("launched_at")
    runningAt = try row.get("running_at")
    firstStepAt = try row.get("first_step_at")
    lastStepAt = try row.get("last_step_at")
    restore = try row.get("restore_seconds", as: Double?.self).map { .seconds($0) }
    if let durableAt = try row.get("durable_at", as: Timestamp?.self) {
      resumed = Resumed(localAt: try row.get("local_at"), durableAt: durableAt)
    }
  }
}
