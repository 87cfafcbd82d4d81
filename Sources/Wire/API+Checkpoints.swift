public import Domain

/// One checkpoint.
public struct CheckpointView: Hashable, Sendable, Codable {
  /// Its id.
  public var id: CheckpointID
  /// Of which job.
  public var job: JobID
  /// By which attempt (its number).
  public var attemptNumber: Int
  /// Its step.
  public var step: Int
  /// Where it stands.
  public var state: CheckpointState
  /// Sum of its files.
  public var bytes: ByteCount
  /// Folder in the object store.
  public var prefix: String
  /// When it was first heard of.
  public var createdAt: Timestamp
  /// When it became DURABLE.
  public var durableAt: Timestamp?
  /// The last one of its attempt.
  public var isFinal: Bool
  /// What the job would resume from.
  public var isLatest: Bool
  /// When all of it was last read back after it became DURABLE; nil where it was not yet.
  public var verifiedAt: Timestamp?
  /// Why it is kept whatever the policy says; nil where nobody told this reader.
  public var pins: [PinView]?
  /// Why it is of no use, where it never became DURABLE; nil where no node has told.
  public var rejection: String?

  /// A checkpoint.
  public init(
    id: CheckpointID, job: JobID, attemptNumber: Int, step: Int, state: CheckpointState, bytes: ByteCount,
    prefix: String, createdAt: Timestamp, durableAt: Timestamp?, isFinal: Bool, isLatest: Bool,
    verifiedAt: Timestamp? = nil, pins: [PinView]? = nil, rejection: String? = nil
  ) {
    self.id = id
    self.job = job
    self.attemptNumber = attemptNumber
    self.step = step
    self.state = state
    self.bytes = bytes
    self.prefix = prefix
    self.createdAt = createdAt
    self.durableAt = durableAt
    self.isFinal = isFinal
    self.isLatest = isLatest
    self.verifiedAt = verifiedAt
    self.pins = pins
    self.rejection = rejection
  }
}

/// A wish that a checkpoint be kept.
public struct PinView: Hashable, Sendable, Codable {
  /// The run that resumes from it, whose pin counts until it is over; nil for a person's.
  public var run: RunID?
  /// Who said so.
  public var by: String
  /// Why.
  public var note: String
  /// Since when.
  public var since: Timestamp

  /// A pin.
  public init(run: RunID?, by: String, note: String, since: Timestamp) {
    self.run = run
    self.by = by
    self.note = note
    self.since = since
  }
}

/// `POST /checkpoints/{checkpoint}/pin` and `/unpin`; nothing is a person's pin without a word.
public struct PinRequest: Hashable, Sendable, Codable {
  /// Why.
  public var note: String?
  /// The run that resumes from it; nil for a person.
  public var run: RunID?

  /// A wish.
  public init(note: String? = nil, run: RunID? = nil) {
    self.note = note
    self.run = run
  }
}

/// `POST /checkpoints/{checkpoint}/reject`.
public struct RejectRequest: Hashable, Sendable, Codable {
  /// Why, for people.
  public var reason: String

  /// A verdict.
  public init(reason: String) { self.reason = reason }
}

/// `GET /checkpoints/{checkpoint}/files`.
public struct CheckpointFiles: Hashable, Sendable, Codable {
  /// Which checkpoint.
  public var checkpoint: CheckpointID
  /// SHA-256 of its manifest: another one is another content.
  public var manifestSHA256: String
  /// Its files, each with length and checksum (of one that has several chunks a `composite`);
  /// `GET /checkpoints/{checkpoint}/data?path=` gives their bytes.
  public var files: Manifest

  /// The files of a checkpoint.
  public init(checkpoint: CheckpointID, manifestSHA256: String, files: Manifest) {
    self.checkpoint = checkpoint
    self.manifestSHA256 = manifestSHA256
    self.files = files
  }
}

/// `POST /checkpoints/{checkpoint}/verify` streams these, as events `verify`.
public struct VerifyProgress: Hashable, Sendable, Codable {
  /// Read so far.
  public var done: ByteCount
  /// All there is to read.
  public var total: ByteCount
  /// How it stands after that: only in the last one.
  public var checkpoint: CheckpointView?
  /// What is wrong with it, in the last one; nil where nothing is.
  public var fault: String?

  /// `done` of `total`, or the end.
  public init(done: ByteCount, total: ByteCount, checkpoint: CheckpointView? = nil, fault: String? = nil) {
    self.done = done
    self.total = total
    self.checkpoint = checkpoint
    self.fault = fault
  }
}

/// `POST /jobs/{job}/checkpoints/prune`.
public struct PruneRequest: Hashable, Sendable, Codable {
  /// Which; nil is what the job's `checkpoint.keep` does not keep.
  public var checkpoints: [CheckpointID]?
  /// Only say what would be removed.
  public var dryRun: Bool

  /// A wish to remove checkpoints.
  public init(checkpoints: [CheckpointID]? = nil, dryRun: Bool = false) {
    self.checkpoints = checkpoints
    self.dryRun = dryRun
  }
}

/// What `POST /jobs/{job}/checkpoints/prune` did.
public struct PruneReport: Hashable, Sendable, Codable {
  /// Removed, or with `dryRun` what would be.
  public var pruned: [CheckpointView]
  /// What that freed; with `dryRun` their sizes together, which is more where others have the same chunks.
  public var freed: ByteCount
  /// Whether nothing was done.
  public var dryRun: Bool
  /// What was asked for and is kept, and why.
  public var refused: [String]

  /// A report.
  public init(pruned: [CheckpointView], freed: ByteCount, dryRun: Bool, refused: [String]) {
    self.pruned = pruned
    self.freed = freed
    self.dryRun = dryRun
    self.refused = refused
  }
}

/// `POST /sweep` answers with this.
public struct SweepReport: Hashable, Sendable, Codable {
  /// When it began.
  public var startedAt: Timestamp
  /// Jobs that were looked at.
  public var jobsRunning: Int
  /// Jobs whose newest DURABLE checkpoint was too old, and that were asked for one.
  public var asked: [JobID]
  /// Jobs that were asked long ago and have saved nothing since.
  public var overdue: [JobID]
  /// Checkpoints that were read back, and equal to their manifest.
  public var verified: [CheckpointID]
  /// How much was read back; the next sweep goes on behind it.
  public var bytesRead: ByteCount
  /// DURABLE checkpoints that there are, read back or not.
  public var durable: Int
  /// Checkpoints that were read back, and not equal to their manifest.
  public var corrupt: [CheckpointID]
  /// Checkpoints that were removed by policy.
  public var pruned: [CheckpointID]
  /// Their sizes together.
  public var bytesFreed: ByteCount
  /// What could not be done, and why.
  public var problems: [String]
  /// Whether nothing was found that a person has to look at.
  public var isHealthy: Bool

  /// A report; healthy where nothing is corrupt or overdue, and nothing went wrong.
  public init(
    startedAt: Timestamp, jobsRunning: Int, asked: [JobID] = [], overdue: [JobID] = [], verified: [CheckpointID] = [],
    bytesRead: ByteCount = .zero, durable: Int = 0, corrupt: [CheckpointID] = [], pruned: [CheckpointID] = [],
    bytesFreed: ByteCount = .zero, problems: [String] = []
  ) {
    self.startedAt = startedAt
    self.jobsRunning = jobsRunning
    self.asked = asked
    self.overdue = overdue
    self.verified = verified
    self.bytesRead = bytesRead
    self.durable = durable
    self.corrupt = corrupt
    self.pruned = pruned
    self.bytesFreed = bytesFreed
    self.problems = problems
    isHealthy = corrupt.isEmpty && overdue.isEmpty && problems.isEmpty
  }
}
