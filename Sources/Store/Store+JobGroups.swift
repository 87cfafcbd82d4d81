public import Domain
import Postgres

/// Jobs that somebody wants run together.
public struct GroupSubmission: Hashable, Sendable {
  /// What all of them have in common, and the file as it was written; its spec counts for nothing.
  public var common: JobSubmission
  /// The group's name.
  public var name: String
  /// How many may hold nodes at a time; nil is any number.
  public var atMost: Int?
  /// The members, at least one.
  public var members: [Member]

  /// One job of the group.
  public struct Member: Hashable, Sendable {
    /// Which of the group.
    public var index: Int
    /// What the matrix gives it.
    public var values: [String: String]
    /// What it is.
    public var spec: JobSpec
    /// A job file that makes it alone.
    public var specText: String

    /// A member.
    public init(index: Int, values: [String: String], spec: JobSpec, specText: String) {
      self.index = index
      self.values = values
      self.spec = spec
      self.specText = specText
    }
  }

  /// A group.
  public init(common: JobSubmission, name: String, atMost: Int?, members: [Member]) {
    self.common = common
    self.name = name
    self.atMost = atMost
    self.members = members
  }
}

/// Where a job stands in its group.
public struct JobGroupPlace: Hashable, Sendable {
  /// Which group.
  public var group: JobGroupID
  /// Which of it.
  public var index: Int
  /// What the matrix gave it.
  public var values: [String: String]
}

/// A group and how its jobs stand.
public struct JobGroupRecord: Hashable, Sendable {
  /// Which.
  public var id: JobGroupID
  /// Whose.
  public var project: ProjectID
  /// The project's name.
  public var projectName: String
  /// The name of who submitted it.
  public var userName: String
  /// Its name.
  public var name: String
  /// How many jobs it has.
  public var size: Int
  /// How many may hold nodes at a time.
  public var atMost: Int?
  /// When it was submitted.
  public var submittedAt: Timestamp
  /// How many jobs are in each state; states without any are left out.
  public var states: [JobState: Int]
  /// Its jobs, by index.
  public var jobs: [JobID]

  static let columns: SQL = """
    g.id, g.project_id, p.name AS project_name, u.name AS user_name, g.name, g.size, g.at_most, g.submitted_at,
    ARRAY(SELECT j.id FROM job j WHERE j.group_id = g.id ORDER BY j.group_index) AS jobs,
    ARRAY(SELECT j.state FROM job j WHERE j.group_id = g.id ORDER BY j.group_index) AS states
    """
  static let source: SQL = "job_group g JOIN project p ON p.id = g.project_id JOIN app_user u ON u.id = g.user_id"

  init(row: Row) throws {
    id = try row.get("id")
    project = try row.get("project_id")
    projectName = try row.get("project_name")
    userName = try row.get("user_name")
    name = try row.get("name")
    size = try row.get("size")
    atMost = try row.get("at_most")
    submittedAt = try row.get("submitted_at")
    let each = try row.get("states", as: [String].self).compactMap { JobState(rawValue: $0) }
    states = Dictionary(each.map { ($0, 1) }, uniquingKeysWith: +)
    jobs = try row.get("jobs")
  }
}

/// Which groups to list; nil is any.
public struct JobGroupFilter: Hashable, Sendable {
  /// Only those of this project.
  public var project: ProjectID?
  /// True: only those of which all jobs are over; false: those of which some are not.
  public var isOver: Bool?
  /// Only those with a smaller number: the next page.
  public var before: JobGroupID?

  /// All groups.
  public init() {}
}

extension Store {
  /// Takes a group in, all of its jobs or none, with the data set versions pinned.
  ///
  /// The same key of the same user again gives the group that is there, and `isNew` false. Throws
  /// `.submissionKeyReused` where that group has another text, and what one job's submission throws.
  public func submit(
    _ submission: GroupSubmission, by actor: Actor
  ) async throws -> (group: JobGroupRecord, isNew: Bool) {
    let common = submission.common
    let (id, isNew) = try await transaction { transaction in
      let row = try await transaction.first(
        """
        INSERT INTO job_group (project_id, user_id, name, size, at_most, spec_text, submission_key)
        VALUES (\(common.project), \(common.user), \(submission.name), \(submission.members.count),
          \(submission.atMost), \(common.specText), \(common.key))
        ON CONFLICT (user_id, submission_key) DO NOTHING RETURNING id
        """)
      guard let row else {
        guard let known = try await submittedGroup(common, in: transaction) else {
          throw StoreError.notFound(kind: "group", name: common.key ?? "")
        }
        return (known, false)
      }
      let id: JobGroupID = try row.get("id")
      for member in submission.members {
        var job = common
        job.key = nil
        job.spec = member.spec
        job.specText = member.specText
        job.place = JobGroupPlace(group: id, index: member.index, values: member.values)
        _ = try await submit(job, by: actor, in: transaction)
      }
      return (id, true)
    }
    return (try await group(id), isNew)
  }

  private func submittedGroup(_ common: JobSubmission, in transaction: PostgresTransaction) async throws -> JobGroupID?
  {
    guard let key = common.key else { return nil }
    let row = try await transaction.first(
      """
      SELECT id, spec_text = \(common.specText) AND project_id = \(common.project) AS is_same,
        (SELECT min(j.id) FROM job j WHERE j.group_id = job_group.id) AS first_job
      FROM job_group WHERE user_id = \(common.user) AND submission_key = \(key)
      """)
    guard let row else { return nil }
    guard try row.get("is_same", as: Bool.self) else {
      throw StoreError.submissionKeyReused(key: key, job: try row.get("first_job"))
    }
    return try row.get("id")
  }

  /// One group.
  ///
  /// Throws `.notFound`.
  public func group(_ id: JobGroupID) async throws -> JobGroupRecord {
    let row = try await pool.first(
      "SELECT \(JobGroupRecord.columns) FROM \(JobGroupRecord.source) WHERE g.id = \(id)")
    guard let row else { throw StoreError.notFound(kind: "group", name: "\(id)") }
    return try JobGroupRecord(row: row)
  }

  /// Lists groups, newest first, at most `limit`.
  public func groups(_ filter: JobGroupFilter = JobGroupFilter(), limit: Int = 100) async throws -> [JobGroupRecord] {
    try await pool.query(
      """
      SELECT \(JobGroupRecord.columns) FROM \(JobGroupRecord.source)
      WHERE (\(filter.project)::bigint IS NULL OR g.project_id = \(filter.project)::bigint)
        AND (\(filter.before)::bigint IS NULL OR g.id < \(filter.before)::bigint)
        AND (\(filter.isOver)::boolean IS NULL OR \(filter.isOver)::boolean
          = (NOT EXISTS (SELECT 1 FROM job j WHERE j.group_id = g.id AND j.ended_at IS NULL)))
      ORDER BY g.id DESC LIMIT \(limit)
      """
    ).map(JobGroupRecord.init)
  }

  /// The groups that have a limit and jobs that are not over, by number.
  func limitedGroups(in transaction: PostgresTransaction) async throws -> [GroupSnapshot] {
    try await transaction.query(
      """
      SELECT g.id, g.at_most, count(a.id) AS running
      FROM job_group g JOIN job j ON j.group_id = g.id LEFT JOIN attempt a ON a.job_id = j.id AND a.state <> 'ENDED'
      WHERE g.at_most IS NOT NULL AND j.ended_at IS NULL GROUP BY g.id ORDER BY g.id
      """
    ).map { row in
      GroupSnapshot(id: try row.get("id"), atMost: try row.get("at_most"), running: try row.get("running"))
    }
  }
}
