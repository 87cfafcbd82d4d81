public import Domain
import Postgres

extension Store {
  /// Takes a job in, with the data set versions it asks for pinned; once this returned, it is never lost.
  ///
  /// The same key of the same user again gives the job that is there, and `isNew` false. Throws
  /// `.submissionKeyReused` where that job has another text, `.unknownDataset`, and `.notFound` or `.notResumable` for a
  /// checkpoint that it is to resume from.
  public func submit(_ submission: JobSubmission, by actor: Actor) async throws -> (job: JobRecord, isNew: Bool) {
    let (id, isNew) = try await transaction { try await submit(submission, by: actor, in: $0) }
    return (try await job(id), isNew)
  }

  /// As the other, as a part of `transaction`.
  func submit(
    _ submission: JobSubmission, by actor: Actor, in transaction: PostgresTransaction
  ) async throws -> (id: JobID, isNew: Bool) {
    guard let id = try await insertJob(submission, by: actor, in: transaction) else {
      // The key is known, perhaps since a moment ago: READ COMMITTED shows its row now.
      guard let known = try await submitted(submission, in: transaction) else {
        throw StoreError.notFound(kind: "job", name: submission.key ?? "")
      }
      return (known, false)
    }
    try await pinDatasets(of: id, submission, in: transaction)
    try await pinStart(of: id, submission, by: actor, in: transaction)
    return (id, true)
  }

  private func submitted(_ submission: JobSubmission, in transaction: PostgresTransaction) async throws -> JobID? {
    guard let key = submission.key else { return nil }
    let row = try await transaction.first(
      """
      SELECT id, spec_text = \(submission.specText) AND project_id = \(submission.project) AS is_same
      FROM job WHERE user_id = \(submission.user) AND submission_key = \(key)
      """)
    guard let row else { return nil }
    let id: JobID = try row.get("id")
    guard try row.get("is_same", as: Bool.self) else { throw StoreError.submissionKeyReused(key: key, job: id) }
    return id
  }

  /// Job, run and the line of the audit log in one statement, since a submission waits for each; nil for a known key.
  func insertJob(
    _ submission: JobSubmission, by actor: Actor, in transaction: PostgresTransaction
  ) async throws -> JobID? {
    let state: JobState = submission.isHeld ? .held : .pending
    let provenance = submission.provenance
    return try await transaction.first(
      """
      WITH j AS (
        INSERT INTO job (project_id, user_id, name, state, reason, priority, spec, spec_text, submission_key, group_id,
          group_index, group_values)
        VALUES (\(submission.project), \(submission.user), \(submission.spec.name), \(state),
          \(submission.isHeld ? "Held" : nil), \(submission.spec.priority), \(JSON.text(submission.spec)),
          \(submission.specText), \(submission.key), \(submission.place?.group), \(submission.place?.index),
          \(JSON.text(submission.place?.values ?? [:]))::jsonb)
        ON CONFLICT (user_id, submission_key) DO NOTHING
        RETURNING id, project_id
      ), r AS (
        INSERT INTO run (job_id, git_commit, git_diff, git_dirty, workdir, software, hostname, code,
          start_checkpoint_id, reproduces_id)
        SELECT j.id, \(provenance.gitCommit), \(provenance.gitDiff), \(provenance.isDirty)::boolean,
          \(provenance.workdir), \(JSON.text(provenance.software))::jsonb, \(provenance.hostname),
          \(provenance.code.map(JSON.text))::jsonb, \(submission.startCheckpoint)::bigint,
          \(submission.reproduces?.job)::bigint
        FROM j
      ), t AS (
        INSERT INTO run_tag (job_id, tag, added_by)
        SELECT j.id, w.tag, \(actor.text)
        FROM j CROSS JOIN (SELECT DISTINCT u.tag FROM unnest(\(submission.spec.tags)::text[]) AS u (tag)) w
      ), e AS (
        INSERT INTO event (actor, action, subject_kind, subject_id, project_id, detail)
        SELECT \(actor.text), 'job.submit', 'job', j.id, j.project_id,
          \(JSON.text(["name": submission.spec.name]))::jsonb
        FROM j
      )
      SELECT id FROM j
      """
    )?.get("id")
  }

  func pinDatasets(
    of job: JobID, _ submission: JobSubmission, in transaction: PostgresTransaction
  ) async throws {
    for wanted in submission.spec.data {
      let version = try await resolve(
        wanted.name, version: wanted.version, project: submission.project, in: transaction)
      guard let version else { throw StoreError.unknownDataset(name: wanted.name, version: wanted.version) }
      try await transaction.execute(
        """
        INSERT INTO job_dataset (job_id, dataset_version_id) VALUES (\(job), \(version.id)) ON CONFLICT DO NOTHING
        """)
    }
  }

  /// One job.
  ///
  /// Throws `.notFound`.
  public func job(_ id: JobID) async throws -> JobRecord {
    let row = try await pool.first("SELECT \(JobRecord.columns) FROM \(JobRecord.source) WHERE j.id = \(id)")
    guard let row else { throw StoreError.notFound(kind: "job", name: "\(id)") }
    return try JobRecord(row: row)
  }

  /// The job file as it was submitted.
  ///
  /// Throws `.notFound`.
  public func jobText(_ id: JobID) async throws -> String {
    guard let row = try await pool.first("SELECT spec_text FROM job WHERE id = \(id)") else {
      throw StoreError.notFound(kind: "job", name: "\(id)")
    }
    return try row.get("spec_text")
  }

  /// Jobs, newest first, at most `limit`.
  public func jobs(_ filter: JobFilter = JobFilter(), limit: Int = 100) async throws -> [JobRecord] {
    try await pool.query(
      """
      SELECT \(JobRecord.columns) FROM \(JobRecord.source)
      WHERE (\(filter.project)::bigint IS NULL OR j.project_id = \(filter.project)::bigint)
        AND (\(filter.user)::bigint IS NULL OR j.user_id = \(filter.user)::bigint)
        AND (\(filter.states?.names)::text[] IS NULL OR j.state = ANY (\(filter.states?.names)::text[]))
        AND (\(filter.isOver)::boolean IS NULL OR (j.ended_at IS NOT NULL) = \(filter.isOver)::boolean)
        AND (\(filter.group)::bigint IS NULL OR j.group_id = \(filter.group)::bigint)
        AND (\(filter.before)::bigint IS NULL OR j.id < \(filter.before)::bigint)
        AND (\(filter.tag)::text IS NULL
          OR EXISTS (SELECT 1 FROM run_tag t WHERE t.job_id = j.id AND t.tag = \(filter.tag)::text))
      ORDER BY j.id DESC LIMIT \(limit)
      """
    ).map(JobRecord.init)
  }

  /// Every job that is not over, in the order in which the scheduler looks at them: those with nodes first, then by
  /// priority and age.
  public func queue(project: ProjectID? = nil) async throws -> [JobRecord] {
    try await pool.query(
      """
      SELECT \(JobRecord.columns) FROM \(JobRecord.source)
      WHERE j.ended_at IS NULL AND (\(project)::bigint IS NULL OR j.project_id = \(project)::bigint)
      ORDER BY a.id IS NULL, j.state = 'HELD', j.priority DESC, j.submitted_at, j.id
      """
    ).map(JobRecord.init)
  }

  /// Ends a job that has no attempt; of one that has, writes down that its end is wanted, so that a controller ends the
  /// attempt first.
  ///
  /// Throws `.notFound`.
  public func cancelJob(_ id: JobID, by actor: Actor) async throws -> CancelResult {
    try await transaction { transaction in
      let row = try await transaction.first(
        """
        SELECT j.state, j.project_id,
          (SELECT a.id FROM attempt a WHERE a.job_id = j.id AND a.state <> 'ENDED') AS attempt
        FROM job j WHERE j.id = \(id) FOR UPDATE
        """)
      guard let row else { throw StoreError.notFound(kind: "job", name: "\(id)") }
      let state: JobState = try row.get("state")
      guard !state.isFinal else { return .over(state) }
      let attempt: AttemptID? = try row.get("attempt")
      if attempt == nil {
        try await transaction.execute(
          """
          UPDATE job
          SET state = 'CANCELLED', reason = 'Cancelled', reason_detail = \(actor.text), ended_at = clock_timestamp(),
            cancel_requested_at = coalesce(cancel_requested_at, clock_timestamp())
          WHERE id = \(id)
          """)
      } else {
        try await transaction.execute(
          """
          UPDATE job SET cancel_requested_at = coalesce(cancel_requested_at, clock_timestamp()) WHERE id = \(id)
          """)
      }
      try await record("job.cancel", Subject(id), project: row.get("project_id"), by: actor, in: transaction)
      return attempt.map(CancelResult.requested) ?? .cancelled
    }
  }

  /// Keeps a waiting job out of scheduling; `.stale` for any other.
  public func holdJob(_ id: JobID, by actor: Actor) async throws -> Guarded<JobID> {
    try await transaction { transaction in
      let row = try await transaction.first(
        """
        UPDATE job SET state = 'HELD', reason = 'Held', reason_detail = \(actor.text)
        WHERE id = \(id) AND state IN ('PENDING', 'LEASE_WAIT') RETURNING project_id
        """)
      guard let row else { return .stale }
      try await record("job.hold", Subject(id), project: row.get("project_id"), by: actor, in: transaction)
      return .done(id)
    }
  }

  /// Lets a held job be scheduled again, from its latest checkpoint where it has one; `.stale` for any other.
  public func releaseJob(_ id: JobID, by actor: Actor) async throws -> Guarded<JobID> {
    try await transaction { transaction in
      let row = try await transaction.first(
        """
        UPDATE job
        SET state = CASE WHEN latest_checkpoint_id IS NULL THEN 'PENDING' ELSE 'LEASE_WAIT' END, reason = NULL,
          reason_detail = NULL, lost_in_row = 0
        WHERE id = \(id) AND state = 'HELD' RETURNING project_id
        """)
      guard let row else { return .stale }
      try await record("job.release", Subject(id), project: row.get("project_id"), by: actor, in: transaction)
      return .done(id)
    }
  }

  /// Writes down why each waiting job does not start, for the queue's reason column; wakes nobody.
  ///
  /// A job that does not wait any more is left as it is.
  public func setReasons(_ refusals: [JobID: Refusal], by epoch: ControllerEpoch) async throws -> Guarded<Int> {
    let jobs = refusals.keys.sorted()
    let texts = jobs.compactMap { refusals[$0] }
    return try await controlled(by: epoch) { transaction in
      .done(
        try await transaction.execute(
          """
          UPDATE job SET reason = r.reason, reason_detail = r.detail
          FROM unnest(\(jobs)::bigint[], \(texts.map(\.reason))::text[], \(texts.map(\.description))::text[])
            AS r (id, reason, detail)
          WHERE job.id = r.id AND job.state IN ('PENDING', 'LEASE_WAIT')
            AND (job.reason, job.reason_detail) IS DISTINCT FROM (r.reason, r.detail)
          """))
    }
  }
}
