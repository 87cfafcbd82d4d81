/// All that decides what becomes of a job when an attempt of it ends.
public struct AttemptEnd: Hashable, Sendable {
  /// Whose fault it is that data or a checkpoint did not come to a node.
  public enum StagingFault: String, Hashable, Sendable, Codable {
    /// It would fail anywhere: the disk is too small, an object is missing or not what its manifest says.
    case job
    /// The node or the way to it had trouble.
    case node
    /// The object store did not answer, or refused.
    case store
    /// The checkpoint to resume from is not what its manifest says; it is marked, and the one before it is used.
    case checkpoint
  }

  /// How the attempt ended.
  public var outcome: AttemptOutcome
  /// The first exit code that was not 0, where a rank ended by itself.
  public var exitCode: Int?
  /// Whose fault a STAGING_FAILED was; looked at for no other outcome.
  public var stagingFault: StagingFault
  /// Whether it committed a newer checkpoint than it resumed from, or its ranks ran for `madeProgressAfter`.
  public var madeProgress: Bool
  /// Whether the job has a DURABLE checkpoint to go on from.
  public var hasCheckpoint: Bool
  /// Whether it resumed from a checkpoint, and as far as can be told came to no step after that.
  public var stuckAtResume: Bool
  /// Attempts that the job was given after failures of its program, before this one.
  public var restartsUsed: Int
  /// Attempts in a row that ended before they ran, by trouble of nodes, before this one.
  public var nodeFailures: Int
  /// Whether it came further than any attempt before it: a newer checkpoint, or a step that none had reached.
  public var brokeNewGround: Bool
  /// Attempts in a row that were LOST without breaking new ground, or never ran for want of the store, before this one.
  public var lostInRow: Int
  /// So many of those are one too many: the job is HELD.
  public var lostMost: Int
  /// How long the job ran, over all attempts, this one included.
  public var ran: TimeSpan
  /// A person asked for the job's end while the attempt ran.
  public var cancelRequested: Bool

  /// An attempt that ended with `outcome`, and nothing else known.
  public init(outcome: AttemptOutcome, exitCode: Int? = nil) {
    self.outcome = outcome
    self.exitCode = exitCode
    stagingFault = .node
    madeProgress = false
    hasCheckpoint = false
    stuckAtResume = false
    restartsUsed = 0
    nodeFailures = 0
    brokeNewGround = false
    lostInRow = 0
    lostMost = Self.lostMost
    ran = .zero
    cancelRequested = false
  }

  /// Ranks that ran this long did something, even without a checkpoint.
  public static let madeProgressAfter = TimeSpan.seconds(60)

  /// After so many attempts in a row that trouble of nodes ended before they ran, Baton gives up.
  public static let nodeFailuresMost = 3

  /// After so many attempts in a row that were LOST without breaking new ground, a person has to look.
  public static let lostMost = 5
}

/// What becomes of a job after an attempt.
public struct JobFate: Hashable, Sendable {
  /// The job's next state.
  public var state: JobState
  /// One word for the queue's reason column; stable, for scripts.
  public var reason: String
  /// Whether this used up one of the job's restarts.
  public var usesRestart: Bool
  /// Whether this counts against the trouble that nodes may give in a row.
  public var isNodeFailure: Bool
  /// How many attempts in a row are LOST without new ground by now.
  public var lostInRow = 0

  init(_ state: JobState, _ reason: String, usesRestart: Bool = false, isNodeFailure: Bool = false) {
    self.state = state
    self.reason = reason
    self.usesRestart = usesRestart
    self.isNodeFailure = isNodeFailure
  }
}

extension JobSpec {
  /// What becomes of a job of this spec after `end`: over, or to wait for nodes again.
  ///
  /// A job that goes on becomes LEASE_WAIT where there is a checkpoint to go on from, and PENDING where it begins
  /// anew. A completed job is completed, even if it was to be cancelled or its time ran out at the same moment.
  public func fate(after end: AttemptEnd) -> JobFate {
    if end.outcome == .completed { return JobFate(.completed, "Completed") }
    if end.outcome == .cancelled || end.cancelRequested { return JobFate(.cancelled, "Cancelled") }
    if end.outcome == .timeout { return JobFate(.timeout, "TimeLimit") }
    var fate = fateOfUnfinished(end)
    // Trouble before the ranks ran says nothing about whether they would be lost again.
    if fate.isNodeFailure { fate.lostInRow = end.lostInRow }
    // Whatever would go on has no time left to do so.
    if fate.state.isWaiting || fate.state == .held, let limit = time.limit, end.ran >= limit {
      return JobFate(.timeout, "TimeLimit")
    }
    return fate
  }

  private func fateOfUnfinished(_ end: AttemptEnd) -> JobFate {
    let waiting: JobState = end.hasCheckpoint ? .leaseWait : .pending
    switch end.outcome {
    case .saved:
      // A program that says "continue me" at once, for ever, would hold the nodes and compute nothing.
      return end.madeProgress ? JobFate(waiting, "Saved") : JobFate(.failed, "NoProgress")
    case .leaseEnded:
      return survivesLease ? JobFate(waiting, "LeaseEnded") : JobFate(.failed, "LeaseEnded")
    case .lost:
      return inVain(end, waiting, "NodesLost")
    case .elsewhere:
      return end.madeProgress ? JobFate(waiting, "Elsewhere") : nodeTrouble(end, waiting, "Elsewhere")
    case .failed:
      let isWorthIt = end.exitCode.map(retry.onExitCodes.contains) ?? false
      if isWorthIt, end.restartsUsed < retry.maxRestarts { return JobFate(waiting, "Restart", usesRestart: true) }
      // Perhaps it cannot read what it saved: only a person can tell, and what was computed is not given up for that.
      return end.stuckAtResume ? JobFate(.held, "ResumeFailed") : JobFate(.failed, "ProgramFailed")
    case .stagingFailed where end.stagingFault == .job:
      return JobFate(.failed, "StagingFailed")
    case .stagingFailed where end.stagingFault == .checkpoint:
      // As often as there are checkpoints: each is marked but once.
      return JobFate(waiting, "CheckpointCorrupt")
    case .stagingFailed where end.stagingFault == .store:
      return inVain(end, waiting, "StoreUnavailable")
    case .stagingFailed:
      return nodeTrouble(end, waiting, "StagingFailed")
    case .launchFailed:
      return nodeTrouble(end, waiting, "LaunchFailed")
    case .completed, .cancelled, .timeout:
      // Settled before; kept total so that a new outcome does not compile without an answer.
      return JobFate(.failed, "ProgramFailed")
    }
  }

  /// Nobody is to blame who loses nodes, or has no store, and yet somebody has to look where it happens for ever: a
  /// program may kill its nodes, a credential may have been revoked.
  private func inVain(_ end: AttemptEnd, _ waiting: JobState, _ reason: String) -> JobFate {
    let losses = end.outcome == .lost && end.brokeNewGround ? 0 : end.lostInRow + 1
    var fate = JobFate(losses < end.lostMost ? waiting : .held, reason)
    fate.lostInRow = losses
    return fate
  }

  private func nodeTrouble(_ end: AttemptEnd, _ waiting: JobState, _ reason: String) -> JobFate {
    end.nodeFailures + 1 < AttemptEnd.nodeFailuresMost
      ? JobFate(waiting, reason, isNodeFailure: true) : JobFate(.failed, reason, isNodeFailure: true)
  }
}
