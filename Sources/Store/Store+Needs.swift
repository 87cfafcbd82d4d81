public import Domain
import Postgres

/// What the next start of a job needs, as far as it was measured.
extension Store {
  /// What came to a node in less is no measure of how fast data come: most of it was waiting for answers.
  public static let worthMeasuring = ByteCount.mebibytes(16)
  /// So many of the newest stagings count.
  private static let stagingsThatCount = 20

  static let waitingColumns: SQL = """
    j.id, j.project_id, j.state, j.submitted_at, j.spec, j.group_id, coalesce(l.bytes, 0) AS restore_bytes, d.largest, s.saves,
    s.uploads, s.sizes
    """

  /// Jobs `j`, each with what its DURABLE checkpoints cost: the newest first count, in the order in which they were made.
  static let waitingSource: SQL = """
    job j LEFT JOIN checkpoint l ON l.id = \(resumed)
    CROSS JOIN LATERAL (SELECT coalesce(max(c.bytes), 0) AS largest
      FROM checkpoint c WHERE c.job_id = j.id AND c.durable_at IS NOT NULL) d
    CROSS JOIN LATERAL (\(savesOfJob)) s
    """

  private static let savesOfJob: SQL = """
    SELECT coalesce(array_agg(coalesce(c.save_seconds, 0) ORDER BY c.durable_at, c.id), '{}') AS saves,
      coalesce(array_agg(c.upload_seconds ORDER BY c.durable_at, c.id), '{}') AS uploads,
      coalesce(array_agg(c.bytes ORDER BY c.durable_at, c.id), '{}') AS sizes
    FROM (SELECT * FROM checkpoint k
      WHERE k.job_id = j.id AND k.durable_at IS NOT NULL AND k.upload_seconds IS NOT NULL
      ORDER BY k.durable_at DESC, k.id DESC LIMIT \(LastSave.memory)) c
    """

  /// How long before a lease's end the last save of `job` has to begin: by the rule of `LastSave`, as agents have it.
  public func lastSaveLead(of job: JobID) async throws -> TimeSpan {
    let row = try await pool.one(
      "SELECT j.spec, s.saves, s.uploads, s.sizes FROM job j CROSS JOIN LATERAL (\(Self.savesOfJob)) s WHERE j.id = \(job)"
    )
    return try LastSave(row: row, spec: try row.json("spec"), assumed: assumed.lastSave).lead
  }

  /// Writes down how fast data came to a node; once for each `attempt`.
  ///
  /// Nothing is written where nobody tells what was `brought`, where nodes that held it gave some of it (the next staging
  /// may find nobody who does), or where that was too little to measure by.
  public func recordStaging(
    node: NodeID, attempt: AttemptID?, brought: ByteCount?, took: TimeSpan, by epoch: ControllerEpoch
  ) async throws -> Guarded<NodeID> {
    guard let brought, brought >= Self.worthMeasuring, took > .zero else { return .done(node) }
    return try await controlled(by: epoch) { transaction in
      try await transaction.execute(
        """
        INSERT INTO staging_measure (node_id, attempt_id, bytes, seconds)
        VALUES (\(node), \(attempt), \(brought), \(took.seconds))
        ON CONFLICT (attempt_id, node_id) DO NOTHING
        """)
      try await transaction.execute(
        """
        DELETE FROM staging_measure WHERE id <= (
          SELECT id FROM staging_measure ORDER BY id DESC OFFSET \(5 * Self.stagingsThatCount) LIMIT 1)
        """)
      return .done(node)
    }
  }

  /// How fast data comes to a node, in bytes a second, by what the planner counts on.
  public func stagingRate() async throws -> Double { try await assuming(in: pool).stagingRate }

  /// What is assumed of a job, with the rate at which data came to nodes lately: four of five of the newest stagings were
  /// faster than what is counted on.
  func assuming(in executor: some SQLExecutor) async throws -> StartNeeds {
    var needs = assumed
    let rate: Double? = try await executor.one(
      """
      SELECT percentile_cont(0.2) WITHIN GROUP (ORDER BY bytes / seconds) AS rate
      FROM (SELECT bytes, seconds FROM staging_measure ORDER BY id DESC LIMIT \(Self.stagingsThatCount)) newest
      """
    ).get("rate")
    if let rate { needs.stagingRate = rate }
    return needs
  }
}

extension LastSave {
  /// A rule that has learned from the checkpoints in `row`.
  fileprivate init(row: Row, spec: JobSpec, assumed: TimeSpan) throws {
    let saves = try row.get("saves", as: [Double].self)
    let uploads = try row.get("uploads", as: [Double].self)
    let sizes = try row.get("sizes", as: [Int64].self)
    let measured = saves.indices.map { index in
      Measurement(save: .seconds(saves[index]), upload: .seconds(uploads[index]), bytes: ByteCount(sizes[index]))
    }
    self.init(assumed: assumed, grace: spec.checkpoint.grace, interval: spec.checkpoint.every, measured: measured)
  }
}

extension WaitingJob {
  /// A row of `waitingColumns`; `data` is what it reads.
  init(row: Row, data: [DatasetVersionID: ByteCount], assumed: StartNeeds) throws {
    let spec: JobSpec = try row.json("spec")
    self.init(
      id: try row.get("id"), project: try row.get("project_id"), state: try row.get("state"),
      submittedAt: try row.get("submitted_at"), spec: spec,
      needs: try StartNeeds(row: row, spec: spec, data: data, assumed: assumed), group: try row.get("group_id"))
  }
}

extension StartNeeds {
  /// Room for the largest checkpoint twice, the one being written and the one before; the last save by the rule of
  /// `LastSave`; of what was not measured, what is assumed.
  fileprivate init(
    row: Row, spec: JobSpec, data: [DatasetVersionID: ByteCount], assumed: StartNeeds
  ) throws {
    self = assumed
    self.data = data
    restore = try row.get("restore_bytes")
    let largest = try row.get("largest", as: ByteCount.self)
    checkpointRoom = largest + largest
    lastSave = try LastSave(row: row, spec: spec, assumed: assumed.lastSave).lead
  }
}
