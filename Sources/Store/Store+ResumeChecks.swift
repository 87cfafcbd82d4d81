public import Domain
import Postgres

extension Store {
  /// Begins a proof: both replays are submitted with it, or nothing is.
  ///
  /// Throws what `submit` throws, and `.notFound` for a checkpoint that is none.
  public func addResumeCheck(_ wanted: NewResumeCheck, by actor: Actor) async throws -> ResumeCheckRecord {
    let id: ResumeCheckID = try await transaction { transaction in
      var jobs: [JobID] = []
      for replay in wanted.replays { jobs.append(try await submit(replay, by: actor, in: transaction).id) }
      guard jobs.count == 2 else { throw StoreError.notFound(kind: "job", name: "") }
      let row = try await transaction.first(
        """
        INSERT INTO resume_check (job_id, checkpoint_id, steps, metric, tolerance, saved, first_replay_id,
          second_replay_id, requested_by)
        SELECT c.job_id, c.id, \(wanted.steps), \(wanted.metric), \(wanted.tolerance),
          \(wanted.saved.map { try JSON.text($0) })::jsonb, \(jobs[0]), \(jobs[1]), \(actor.text)
        FROM checkpoint c WHERE c.id = \(wanted.checkpoint)
        RETURNING id, job_id
        """)
      guard let row else { throw StoreError.notFound(kind: "checkpoint", name: "\(wanted.checkpoint)") }
      let job: JobID = try row.get("job_id")
      try await tellChange(of: job, in: transaction)
      let detail = [
        "checkpoint": "\(wanted.checkpoint)", "steps": "\(wanted.steps)",
        "replays": jobs.map { "\($0)" }.joined(separator: " "),
      ]
      try await record(
        "run.verify", Subject(job), project: wanted.replays[0].project, by: actor, detail: detail, in: transaction)
      return try row.get("id")
    }
    return try await resumeCheck(id)
  }

  /// One proof.
  ///
  /// Throws `.notFound`.
  public func resumeCheck(_ id: ResumeCheckID) async throws -> ResumeCheckRecord {
    let row = try await pool.first(
      "SELECT \(ResumeCheckRecord.columns) FROM \(ResumeCheckRecord.source) WHERE k.id = \(id)")
    guard let row else { throw StoreError.notFound(kind: "check", name: "\(id)") }
    return try ResumeCheckRecord(row: row)
  }

  /// The proofs about a job's run, newest first, at most `limit`.
  public func resumeChecks(of job: JobID, limit: Int = 20) async throws -> [ResumeCheckRecord] {
    try await pool.query(
      """
      SELECT \(ResumeCheckRecord.columns) FROM \(ResumeCheckRecord.source) WHERE k.job_id = \(job)
      ORDER BY k.id DESC LIMIT \(limit)
      """
    ).map(ResumeCheckRecord.init)
  }

  /// The proofs that are under way, oldest first.
  public func openResumeChecks() async throws -> [ResumeCheckRecord] {
    try await pool.query(
      """
      SELECT \(ResumeCheckRecord.columns) FROM \(ResumeCheckRecord.source) WHERE k.verdict IS NULL ORDER BY k.id
      """
    ).map(ResumeCheckRecord.init)
  }

  /// Writes down what came of a proof.
  ///
  /// `.stale` where it has a verdict already, or the turn is another's.
  public func endResumeCheck(
    _ id: ResumeCheckID, _ verdict: ResumeVerdict, by epoch: ControllerEpoch
  ) async throws -> Guarded<ResumeCheckID> {
    try await controlled(by: epoch) { transaction in
      let row = try await transaction.first(
        """
        UPDATE resume_check k SET verdict = \(JSON.text(verdict))::jsonb, ended_at = clock_timestamp()
        FROM job j WHERE k.id = \(id) AND k.verdict IS NULL AND j.id = k.job_id
        RETURNING j.id, j.project_id
        """)
      guard let row else { return .stale }
      let job: JobID = try row.get("id")
      try await tellChange(of: job, in: transaction)
      try await record(
        "run.verified", Subject(job), project: row.get("project_id"), by: .controller(epoch),
        detail: ["check": "\(id)", "outcome": verdict.outcome.rawValue, "detail": verdict.detail], in: transaction)
      return .done(id)
    }
  }

  /// What the ranks of an attempt said about the state that they loaded; nil where none said anything.
  public func loadedState(of attempt: AttemptID) async throws -> IngredientReport? {
    let rows = try await pool.query(
      "SELECT rank, ingredients FROM loaded_state WHERE attempt_id = \(attempt) ORDER BY rank")
    if rows.isEmpty { return nil }
    var report = IngredientReport()
    for row in rows { report.ranks[try row.get("rank")] = try row.json("ingredients") }
    return report
  }

  /// Keeps what ranks said; of two words of one rank the later counts.
  func note(_ loaded: [LoadedState], of attempt: AttemptID, in transaction: PostgresTransaction) async throws {
    for state in loaded {
      try await transaction.execute(
        """
        INSERT INTO loaded_state (attempt_id, rank, step, ingredients)
        VALUES (\(attempt), \(state.rank), \(state.step), \(JSON.text(state.ingredients))::jsonb)
        ON CONFLICT (attempt_id, rank) DO UPDATE SET step = excluded.step, ingredients = excluded.ingredients
        """)
    }
  }

  /// Wakes those who look at a job, of whose row nothing has changed.
  private func tellChange(of job: JobID, in transaction: PostgresTransaction) async throws {
    try await transaction.execute("SELECT pg_notify('baton', 'job:' || \(job)::bigint)")
  }
}
