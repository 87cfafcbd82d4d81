public import Domain

/// `POST /jobs`.
public struct SubmitRequest: Hashable, Sendable, Codable {
  /// The job file, as it was typed.
  public var file: String
  /// What it is called in messages.
  public var fileName: String
  /// Chosen by the client; the same key twice is the same job, so that a lost answer can be asked for again.
  public var submissionKey: String
  /// Where it was submitted from.
  public var provenance: SourceProvenance
  /// Only say what would happen.
  public var testOnly: Bool
  /// The checkpoint of another run to start from: its id, or `RUN` or `RUN@STEP`; nil begins with nothing.
  public var startFrom: String?

  /// A submission.
  public init(
    file: String, fileName: String, submissionKey: String, provenance: SourceProvenance, testOnly: Bool = false,
    startFrom: String? = nil
  ) {
    self.file = file
    self.fileName = fileName
    self.submissionKey = submissionKey
    self.provenance = provenance
    self.testOnly = testOnly
    self.startFrom = startFrom
  }
}

/// What the client knew of the code that a job runs.
public struct SourceProvenance: Hashable, Sendable, Codable {
  /// The directory of the job file, as the client saw it.
  public var directory: String?
  /// Host of the client.
  public var host: String?
  /// Commit of the git work tree that the directory is in.
  public var gitCommit: String?
  /// Branch, if on one.
  public var gitBranch: String?
  /// `git diff HEAD` of it, at most 1 MiB.
  public var gitDiff: String?
  /// Whether it had changes, or files that git does not know.
  public var gitDirty: Bool?
  /// The code itself, which was sent as an object before; ranks then start in a copy of it.
  public var code: CodeCapture?

  /// What is known; all nil outside a git work tree.
  public init(
    directory: String? = nil, host: String? = nil, gitCommit: String? = nil, gitBranch: String? = nil,
    gitDiff: String? = nil, gitDirty: Bool? = nil, code: CodeCapture? = nil
  ) {
    self.directory = directory
    self.host = host
    self.gitCommit = gitCommit
    self.gitBranch = gitBranch
    self.gitDiff = gitDiff
    self.gitDirty = gitDirty
    self.code = code
  }
}

/// One job.
public struct JobView: Hashable, Sendable, Codable {
  /// Its id.
  public var id: JobID
  /// Its name.
  public var name: String
  /// Whose.
  public var project: String
  /// Who submitted it.
  public var user: String
  /// Where it stands.
  public var state: JobState
  /// One word beside the state; empty where there is nothing to say.
  public var reason: String
  /// The sentence behind the reason.
  public var reasonDetail: String?
  /// 0 to 100, higher first.
  public var priority: Int
  /// Nodes asked for; of an elastic job the fewest.
  public var nodes: Int
  /// The most nodes that an elastic job can use; nil for one that is not.
  public var nodesMost: Int?
  /// When it was submitted.
  public var submittedAt: Timestamp
  /// When its first attempt began.
  public var startedAt: Timestamp?
  /// When it was over.
  public var endedAt: Timestamp?
  /// The program's exit code, at its end.
  public var exitCode: Int?
  /// The attempt that is on nodes now, or the last one.
  public var attempt: AttemptView?
  /// The newest DURABLE checkpoint's step.
  public var checkpointStep: Int?
  /// When that became durable.
  public var checkpointAt: Timestamp?
  /// The last step of which a metric is known.
  public var lastStep: Int?
  /// Staging: bytes in place and bytes wanted, over all nodes; nil when not staging.
  public var staging: StagingProgress?
  /// What would be computed again if the lease ended now, without a last save; nil where no ranks run.
  public var loss: Loss?
  /// How long it stood still before its last attempt that made a step, and on what; told only where one job is asked for.
  public var handoff: Handoff?
  /// True where the program saves by itself and cannot be asked to: what it computed after its newest save is computed
  /// again in the next lease.
  public var savesByItself: Bool?
  /// Where it stands in the group that its file made.
  public var member: GroupMemberView?

  /// How far staging is.
  public struct StagingProgress: Hashable, Sendable, Codable {
    /// In place.
    public var done: ByteCount
    /// Wanted.
    public var total: ByteCount

    /// `done` of `total`.
    public init(done: ByteCount, total: ByteCount) {
      self.done = done
      self.total = total
    }
  }

  /// A job.
  public init(
    id: JobID, name: String, project: String, user: String, state: JobState, reason: String, reasonDetail: String?,
    priority: Int, nodes: Int, submittedAt: Timestamp, startedAt: Timestamp?, endedAt: Timestamp?, exitCode: Int?,
    attempt: AttemptView?, checkpointStep: Int?, checkpointAt: Timestamp?, lastStep: Int?, staging: StagingProgress?,
    loss: Loss? = nil, handoff: Handoff? = nil, member: GroupMemberView? = nil, nodesMost: Int? = nil
  ) {
    self.id = id
    self.name = name
    self.project = project
    self.user = user
    self.state = state
    self.reason = reason
    self.reasonDetail = reasonDetail
    self.priority = priority
    self.nodes = nodes
    self.submittedAt = submittedAt
    self.startedAt = startedAt
    self.endedAt = endedAt
    self.exitCode = exitCode
    self.attempt = attempt
    self.checkpointStep = checkpointStep
    self.checkpointAt = checkpointAt
    self.lastStep = lastStep
    self.staging = staging
    self.loss = loss
    self.handoff = handoff
    self.nodesMost = nodesMost
    self.member = member
  }

  /// Nodes asked for, as in the job file: `4`, or `2-8`.
  public var nodesText: String { nodesMost.map { "\(nodes)-\($0)" } ?? "\(nodes)" }
}

/// One attempt.
public struct AttemptView: Hashable, Sendable, Codable {
  /// Its id.
  public var id: AttemptID
  /// Its number in the job, from 1.
  public var number: Int
  /// In which lease.
  public var lease: LeaseID
  /// The lease's name.
  public var leaseName: String
  /// The lease's end.
  public var leaseEnd: Timestamp
  /// Where it stands.
  public var state: AttemptState
  /// How it ended.
  public var outcome: AttemptOutcome?
  /// The sentence behind the outcome.
  public var detail: String?
  /// Its nodes, in rank order.
  public var nodes: [NodeRef]
  /// When its nodes were given to it.
  public var createdAt: Timestamp
  /// When its ranks ran.
  public var runningAt: Timestamp?
  /// When it was over.
  public var endedAt: Timestamp?
  /// The step it resumed from; nil at the beginning.
  public var resumedFromStep: Int?
  /// When its last save will be; nil where its ranks do not run, or no node has told.
  public var lastSave: LastSaveForecast?
  /// What keeps its newest checkpoint from being DURABLE; nil where all is well, it is over, or no node has told.
  public var checkpointTrouble: CheckpointTrouble?
  /// The run whose checkpoint it resumed from, where that is not its own.
  public var resumedFromRun: RunID?
  /// Ranks over all its nodes; told where a run is shown.
  public var worldSize: Int?
  /// What it held for how long; told where a run is shown.
  public var cost: AttemptCost?

  /// An attempt.
  public init(
    id: AttemptID, number: Int, lease: LeaseID, leaseName: String, leaseEnd: Timestamp, state: AttemptState,
    outcome: AttemptOutcome?, detail: String?, nodes: [NodeRef], createdAt: Timestamp, runningAt: Timestamp?,
    endedAt: Timestamp?, resumedFromStep: Int?, lastSave: LastSaveForecast? = nil,
    checkpointTrouble: CheckpointTrouble? = nil, resumedFromRun: RunID? = nil
  ) {
    self.id = id
    self.number = number
    self.lease = lease
    self.leaseName = leaseName
    self.leaseEnd = leaseEnd
    self.state = state
    self.outcome = outcome
    self.detail = detail
    self.nodes = nodes
    self.createdAt = createdAt
    self.runningAt = runningAt
    self.endedAt = endedAt
    self.resumedFromStep = resumedFromStep
    self.lastSave = lastSave
    self.checkpointTrouble = checkpointTrouble
    self.resumedFromRun = resumedFromRun
  }
}

/// What an attempt held, from when its nodes were given to it until its end, or now.
public struct AttemptCost: Hashable, Sendable, Codable {
  /// Nodes times seconds.
  public var nodeSeconds: Double
  /// GPUs times seconds; of a node that it held whole, all GPUs.
  public var gpuSeconds: Double

  /// A cost.
  public init(nodeSeconds: Double, gpuSeconds: Double) {
    self.nodeSeconds = nodeSeconds
    self.gpuSeconds = gpuSeconds
  }

  /// The sum.
  public static func + (left: Self, right: Self) -> Self {
    Self(nodeSeconds: left.nodeSeconds + right.nodeSeconds, gpuSeconds: left.gpuSeconds + right.gpuSeconds)
  }
}

/// What keeps a checkpoint from being DURABLE.
public struct CheckpointTrouble: Hashable, Sendable, Codable, CustomStringConvertible {
  /// Its step.
  public var step: Int
  /// Whether it was given up; else it waits for the object store, which is asked again and again.
  public var isRejected: Bool
  /// In the node's words.
  public var reason: String

  /// What happened to the checkpoint of `step`.
  public init(step: Int, isRejected: Bool, reason: String) {
    self.step = step
    self.isRejected = isRejected
    self.reason = reason
  }

  /// `step 120 waits for the object store: PUT was answered 503`.
  public var description: String {
    "step \(step) \(isRejected ? "was rejected" : "waits for the object store"): \(reason)"
  }
}

/// The last save before a lease's end, as the nodes plan it by what they measured.
public struct LastSaveForecast: Hashable, Sendable, Codable {
  /// When the program is told to save and leave.
  public var at: Timestamp
  /// When the checkpoint is durable if it takes as long as the dearest so far; nil while nothing was measured.
  public var doneBy: Timestamp?

  /// A forecast.
  public init(at: Timestamp, doneBy: Timestamp?) {
    self.at = at
    self.doneBy = doneBy
  }
}

/// `POST /jobs` answers with this, with an explanation only where it was a test, and so does
/// `GET /jobs/{job}/explain`.
public struct JobAnswer: Hashable, Sendable, Codable {
  /// The job; nil for a submission that was only tested.
  public var job: JobView?
  /// Why it waits, or that it starts; nil where it does not wait.
  public var explanation: Explanation?
  /// The explanation as sentences, in the words that are used everywhere.
  public var text: [String]
  /// Whether the job existed before (same submission key).
  public var existed: Bool
  /// The group, where the file made one; then `job` is nil.
  public var group: GroupView?

  /// An answer.
  public init(
    job: JobView?, explanation: Explanation?, text: [String], existed: Bool = false, group: GroupView? = nil
  ) {
    self.job = job
    self.explanation = explanation
    self.text = text
    self.existed = existed
    self.group = group
  }
}

/// `DELETE /jobs/{job}`.
public struct CancelRequest: Hashable, Sendable, Codable {
  /// SIGKILL at once instead of saving first.
  public var now: Bool

  /// A request to cancel.
  public init(now: Bool) { self.now = now }
}
