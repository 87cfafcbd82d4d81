public import Domain
import Postgres

/// Where a job's code came from, as the client found it.
public struct Provenance: Hashable, Sendable {
  /// The commit that was checked out; nil outside a repository.
  public var gitCommit: String?
  /// What was changed against it and not committed.
  public var gitDiff: String?
  /// Whether anything was.
  public var isDirty: Bool
  /// Where it was submitted from.
  public var workdir: String?
  /// Versions of what stands around it, by name.
  public var software: [String: String]
  /// The machine it was submitted from.
  public var hostname: String?
  /// The code itself; nil where none was captured.
  public var code: CodeCapture?

  /// Where the code came from.
  public init(
    gitCommit: String? = nil, gitDiff: String? = nil, isDirty: Bool = false, workdir: String? = nil,
    software: [String: String] = [:], hostname: String? = nil, code: CodeCapture? = nil
  ) {
    self.gitCommit = gitCommit
    self.gitDiff = gitDiff
    self.isDirty = isDirty
    self.workdir = workdir
    self.software = software
    self.hostname = hostname
    self.code = code
  }

  static let columns: SQL = "git_commit, git_diff, git_dirty, workdir, software, hostname, code"

  init(row: Row) throws {
    gitCommit = try row.get("git_commit")
    gitDiff = try row.get("git_diff")
    isDirty = try row.get("git_dirty")
    workdir = try row.get("workdir")
    software = try row.json("software")
    hostname = try row.get("hostname")
    code = try row.get("code", as: String?.self).map { try JSON.value(from: $0) }
  }
}

/// A job that somebody wants run.
public struct JobSubmission: Hashable, Sendable {
  /// For whom.
  public var project: ProjectID
  /// By whom.
  public var user: UserID
  /// What, read and checked.
  public var spec: JobSpec
  /// The job file as it was written.
  public var specText: String
  /// Chosen by the client: the same key of the same user again is the same job.
  public var key: String?
  /// Where its code came from.
  public var provenance: Provenance
  /// Whether it is to be HELD until it is released.
  public var isHeld: Bool
  /// The checkpoint of another run that it starts from.
  public var startCheckpoint: CheckpointID?
  /// The run that it does again.
  public var reproduces: RunID?
  /// Where it stands in a group; set by whoever submits that.
  var place: JobGroupPlace?

  /// A job.
  public init(
    project: ProjectID, user: UserID, spec: JobSpec, specText: String, key: String? = nil,
    provenance: Provenance = Provenance(), isHeld: Bool = false, startCheckpoint: CheckpointID? = nil,
    reproduces: RunID? = nil
  ) {
    self.project = project
    self.user = user
    self.spec = spec
    self.specText = specText
    self.key = key
    self.provenance = provenance
    self.isHeld = isHeld
    self.startCheckpoint = startCheckpoint
    self.reproduces = reproduces
  }
}

/// A job and where it stands.
public struct JobRecord: Hashable, Sendable {
  /// Which.
  public var id: JobID
  /// Whose.
  public var project: ProjectID
  /// The project's name.
  public var projectName: String
  /// Who submitted it.
  public var user: UserID
  /// That user's name.
  public var userName: String
  /// Where it stands.
  public var state: JobState
  /// Why, in one word for the queue's column.
  public var reason: String?
  /// Why, in a sentence.
  public var reasonDetail: String?
  /// What it is.
  public var spec: JobSpec
  /// When it was submitted.
  public var submittedAt: Timestamp
  /// When its first attempt began.
  public var startedAt: Timestamp?
  /// When it was over.
  public var endedAt: Timestamp?
  /// What its program said at the end.
  public var exitCode: Int?
  /// What it would go on from.
  public var latestCheckpoint: CheckpointID?
  /// The step of that.
  public var latestStep: Int64?
  /// How long its ranks ran, over all attempts, the live one included.
  public var ran: TimeSpan
  /// Attempts it was given after failures of its program.
  public var restarts: Int
  /// How many attempts it had, the live one included.
  public var attempts: Int
  /// Its live attempt.
  public var attempt: AttemptID?
  /// The lease of that.
  public var lease: LeaseID?
  /// When somebody asked for its end while it had an attempt.
  public var cancelRequestedAt: Timestamp?
  /// Where it stands in its group.
  public var place: JobGroupPlace?

  static let columns: SQL = """
    j.id, j.project_id, p.name AS project_name, j.user_id, u.name AS user_name, j.state, j.reason, j.reason_detail,
    j.spec, j.submitted_at, j.started_at, j.ended_at, j.exit_code, j.latest_checkpoint_id, c.step AS latest_step,
    j.running_seconds + coalesce(extract(epoch FROM clock_timestamp() - a.running_at)::double precision, 0) AS ran,
    j.restarts, j.cancel_requested_at, a.id AS attempt_id, a.lease_id,
    j.group_id, j.group_index, j.group_values,
    coalesce((SELECT max(n.number) FROM attempt n WHERE n.job_id = j.id), 0) AS attempts
    """

  static let source: SQL = """
    job j JOIN project p ON p.id = j.project_id JOIN app_user u ON u.id = j.user_id
    LEFT JOIN checkpoint c ON c.id = j.latest_checkpoint_id
    LEFT JOIN attempt a ON a.job_id = j.id AND a.state <> 'ENDED'
    """

  init(row: Row) throws {
    id = try row.get("id")
    project = try row.get("project_id")
    projectName = try row.get("project_name")
    user = try row.get("user_id")
    userName = try row.get("user_name")
    state = try row.get("state")
    reason = try row.get("reason")
    reasonDetail = try row.get("reason_detail")
    spec = try row.json("spec")
    submittedAt = try row.get("submitted_at")
    startedAt = try row.get("started_at")
    endedAt = try row.get("ended_at")
    exitCode = try row.get("exit_code")
    latestCheckpoint = try row.get("latest_checkpoint_id")
    latestStep = try row.get("latest_step")
    ran = try row.seconds("ran")
    restarts = try row.get("restarts")
    attempts = try row.get("attempts")
    attempt = try row.get("attempt_id")
    lease = try row.get("lease_id")
    cancelRequestedAt = try row.get("cancel_requested_at")
    if let group = try row.get("group_id", as: JobGroupID?.self) {
      place = JobGroupPlace(group: group, index: try row.get("group_index"), values: try row.json("group_values"))
    }
  }
}

/// Which jobs to list; nil is any.
public struct JobFilter: Hashable, Sendable {
  /// Only those of this project.
  public var project: ProjectID?
  /// Only those of this user.
  public var user: UserID?
  /// Only those in one of these states.
  public var states: Set<JobState>?
  /// Only those that are over, or are not.
  public var isOver: Bool?
  /// Only those of this group.
  public var group: JobGroupID?
  /// Only those with a smaller number: the next page.
  public var before: JobID?
  /// Only those that have this word.
  public var tag: String?

  /// All jobs.
  public init() {}
}

/// What became of a request to end a job.
public enum CancelResult: Hashable, Sendable {
  /// It had no attempt, and is CANCELLED.
  case cancelled
  /// Its attempt is to be ended; it is CANCELLED once that has.
  case requested(AttemptID)
  /// It was over before.
  case over(JobState)
}
