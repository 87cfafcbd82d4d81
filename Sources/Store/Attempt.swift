public import Domain
import Postgres

/// A node of an attempt, and how far it was listened to.
public struct AttemptNodeRecord: Hashable, Sendable {
  /// Which node.
  public var node: NodeID
  /// Its rank: 0 is the master.
  public var rank: Int
  /// The GPUs held on it; empty where it is held whole.
  public var gpus: [Int]
  /// What its agent said last, in the agent's words.
  public var agentState: String?
  /// The last entry of the agent's journal that was read.
  public var journalSequence: Int64
  /// How much of its metrics file was read, in bytes.
  public var metricsOffset: Int64
  /// When its agent was last heard.
  public var lastContactAt: Timestamp?

  /// The `agentState` of a node whose agent found no room for the attempt, and no way to make it.
  public static let noRoom = "diskTooSmall"

  init(row: Row) throws {
    node = try row.get("node_id")
    rank = try row.get("node_rank")
    gpus = try row.get("gpus")
    agentState = try row.get("agent_state")
    journalSequence = try row.get("journal_seq")
    metricsOffset = try row.get("metrics_offset")
    lastContactAt = try row.get("last_contact_at")
  }
}

/// One execution of a job.
public struct AttemptRecord: Hashable, Sendable {
  /// Which.
  public var id: AttemptID
  /// Of which job.
  public var job: JobID
  /// Its number among those of the job, from 1: the epoch that fences what it writes.
  public var number: Int
  /// In which lease.
  public var lease: LeaseID
  /// Where it stands.
  public var state: AttemptState
  /// How it ended; nil while it has not.
  public var outcome: AttemptOutcome?
  /// What its program said at the end.
  public var exitCode: Int?
  /// How it ended, in a sentence.
  public var reasonDetail: String?
  /// The turn of the controller that began it.
  public var controllerEpoch: ControllerEpoch
  /// What it went on from; nil where it began anew.
  public var resumeCheckpoint: CheckpointID?
  /// The step of that.
  public var resumeStep: Int64?
  /// The run that wrote it: its own, or the one that it started from.
  public var resumeRun: RunID?
  /// Where rank 0 listens.
  public var masterPort: Int?
  /// When it was decided.
  public var createdAt: Timestamp
  /// When its nodes were staged and its ranks were told to start.
  public var launchedAt: Timestamp?
  /// When its ranks ran.
  public var runningAt: Timestamp?
  /// When its first metric came in.
  public var firstStepAt: Timestamp?
  /// When it was told to save and leave.
  public var checkpointingAt: Timestamp?
  /// When somebody asked it to save, while not every node was told.
  public var checkpointAskedAt: Timestamp?
  /// When somebody asked for its end without a save.
  public var killAskedAt: Timestamp?
  /// When somebody asked it to save and leave as at its lease's end.
  public var leaveAskedAt: Timestamp?
  /// When it was over; never after the end of its lease.
  public var endedAt: Timestamp?
  /// Its nodes, by rank.
  public var nodes: [AttemptNodeRecord]

  static let columns: SQL = """
    a.id, a.job_id, a.number, a.lease_id, a.state, a.outcome, a.exit_code, a.reason_detail, a.controller_epoch,
    a.resume_checkpoint_id, c.step AS resume_step, c.job_id AS resume_job, a.master_port, a.created_at, a.launched_at,
    a.running_at, a.first_step_at, a.checkpointing_at, a.checkpoint_asked_at, a.kill_asked_at, a.leave_asked_at, a.ended_at
    """

  static let source: SQL = "attempt a LEFT JOIN checkpoint c ON c.id = a.resume_checkpoint_id"

  init(row: Row, nodes: [AttemptNodeRecord]) throws {
    id = try row.get("id")
    job = try row.get("job_id")
    number = try row.get("number")
    lease = try row.get("lease_id")
    state = try row.get("state")
    outcome = try row.get("outcome")
    exitCode = try row.get("exit_code")
    reasonDetail = try row.get("reason_detail")
    controllerEpoch = try row.get("controller_epoch")
    resumeCheckpoint = try row.get("resume_checkpoint_id")
    resumeStep = try row.get("resume_step")
    resumeRun = try row.get("resume_job", as: JobID?.self)?.run
    masterPort = try row.get("master_port")
    createdAt = try row.get("created_at")
    launchedAt = try row.get("launched_at")
    runningAt = try row.get("running_at")
    firstStepAt = try row.get("first_step_at")
    checkpointingAt = try row.get("checkpointing_at")
    checkpointAskedAt = try row.get("checkpoint_asked_at")
    killAskedAt = try row.get("kill_asked_at")
    leaveAskedAt = try row.get("leave_asked_at")
    endedAt = try row.get("ended_at")
    self.nodes = nodes
  }

  /// What it holds, in rank order.
  public var placement: Placement {
    Placement(shares: nodes.map { Placement.Share(node: $0.node, gpus: $0.gpus) })
  }
}

/// How an attempt ended, as the controller learned it.
public struct AttemptEnding: Hashable, Sendable {
  /// Which.
  public var attempt: AttemptID
  /// How.
  public var outcome: AttemptOutcome
  /// The first exit code that was not 0, where a rank ended by itself.
  public var exitCode: Int?
  /// How, in a sentence.
  public var detail: String?
  /// Whose fault a STAGING_FAILED was.
  public var stagingFault: AttemptEnd.StagingFault
  /// Whether all that its nodes had to say was heard; if not, what it left in the object store has to be looked for.
  public var isSettled: Bool

  /// An end.
  public init(
    attempt: AttemptID, outcome: AttemptOutcome, exitCode: Int? = nil, detail: String? = nil,
    stagingFault: AttemptEnd.StagingFault = .node, isSettled: Bool = false
  ) {
    self.isSettled = isSettled
    self.attempt = attempt
    self.outcome = outcome
    self.exitCode = exitCode
    self.detail = detail
    self.stagingFault = stagingFault
  }
}

/// An attempt that is over, and what became of its job.
public struct EndedAttempt: Hashable, Sendable {
  /// The attempt.
  public var attempt: AttemptID
  /// Its job.
  public var job: JobID
  /// What became of that.
  public var fate: JobFate
}
