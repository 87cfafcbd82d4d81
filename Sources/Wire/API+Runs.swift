public import Domain

/// The whole history of a job.
public struct RunView: Hashable, Sendable, Codable {
  /// Its id.
  public var id: RunID
  /// Its job.
  public var job: JobView
  /// All attempts, first to last.
  public var attempts: [AttemptView]
  /// All checkpoints, by step.
  public var checkpoints: [CheckpointView]
  /// The metrics that it has, each with its number of points and last value.
  public var metrics: [MetricSummary]
  /// All that is needed to re-create it.
  public var provenance: RunProvenance
  /// Points that were computed more than once: what a resume from an older checkpoint cost.
  public var stepsRedone: Int
  /// How long it stood still between its attempts, and on what, first to last; nil where the server does not tell.
  public var handoffs: [Handoff]?
  /// The proofs that it goes on as it should, newest first; nil where the server does not tell.
  public var resumeChecks: [ResumeCheckView]?
  /// The words it is found by, sorted.
  public var tags: [String]?
  /// What people wrote about it, oldest first.
  public var notes: [RunNoteView]?
  /// What it starts from, where that is a checkpoint of another run.
  public var startedFrom: CheckpointRef?
  /// The run that it does again.
  public var reproduces: RunID?

  /// A run.
  public init(
    id: RunID, job: JobView, attempts: [AttemptView], checkpoints: [CheckpointView], metrics: [MetricSummary],
    provenance: RunProvenance, stepsRedone: Int, handoffs: [Handoff]? = nil, resumeChecks: [ResumeCheckView]? = nil
  ) {
    self.id = id
    self.job = job
    self.attempts = attempts
    self.checkpoints = checkpoints
    self.metrics = metrics
    self.provenance = provenance
    self.stepsRedone = stepsRedone
    self.handoffs = handoffs
    self.resumeChecks = resumeChecks
  }
}

/// A metric in short.
public struct MetricSummary: Hashable, Sendable, Codable {
  /// Its name.
  public var metric: String
  /// How many steps have a value.
  public var count: Int
  /// The first of them.
  public var firstStep: Int
  /// The last of them.
  public var lastStep: Int
  /// The value there.
  public var lastValue: Double

  /// A metric in short.
  public init(metric: String, count: Int, firstStep: Int, lastStep: Int, lastValue: Double) {
    self.metric = metric
    self.count = count
    self.firstStep = firstStep
    self.lastStep = lastStep
    self.lastValue = lastValue
  }
}

/// All that is needed to re-create a run.
public struct RunProvenance: Hashable, Sendable, Codable {
  /// The job file, as it was typed.
  public var jobFile: String
  /// The code.
  public var source: SourceProvenance
  /// The data, pinned.
  public var datasets: [DatasetRef]
  /// The seed.
  public var seed: Int64
  /// The nodes of each attempt, with hardware and software.
  public var nodes: [NodeFacts]
  /// The job file as it was understood: every default filled in, data pinned, no value of a secret; JSON.
  public var resolved: String?
  /// What stood around the ranks, each once, with where that was so.
  public var environments: [EnvironmentView]?

  /// A node at the time of an attempt.
  public struct NodeFacts: Hashable, Sendable, Codable {
    /// Of which attempt (its number).
    public var attemptNumber: Int
    /// The node.
    public var node: NodeRef
    /// Class of machine.
    public var nodeType: String
    /// Its GPUs' models.
    public var gpus: [String]
    /// Processors.
    public var cores: Int?
    /// Main memory.
    public var memory: ByteCount?
    /// Versions of what was on it.
    public var software: [String: String]

    /// A node at the time of an attempt.
    public init(
      attemptNumber: Int, node: NodeRef, nodeType: String, gpus: [String], cores: Int?, memory: ByteCount?,
      software: [String: String]
    ) {
      self.attemptNumber = attemptNumber
      self.node = node
      self.nodeType = nodeType
      self.gpus = gpus
      self.cores = cores
      self.memory = memory
      self.software = software
    }
  }

  /// A provenance.
  public init(
    jobFile: String, source: SourceProvenance, datasets: [DatasetRef], seed: Int64, nodes: [NodeFacts]
  ) {
    self.jobFile = jobFile
    self.source = source
    self.datasets = datasets
    self.seed = seed
    self.nodes = nodes
  }
}

/// A version of a data set, named.
public struct DatasetRef: Hashable, Sendable, Codable {
  /// Its name.
  public var name: String
  /// Its number, from 1.
  public var version: Int
  /// SHA-256 of its manifest's canonical text.
  public var contentID: String

  /// A version of a data set, named.
  public init(name: String, version: Int, contentID: String) {
    self.name = name
    self.version = version
    self.contentID = contentID
  }
}

/// `GET /runs/{run}/metrics/{metric}?from=STEP&to=STEP&limit=N`: in order of step.
public struct MetricSeries: Hashable, Sendable, Codable {
  /// Its name.
  public var metric: String
  /// The steps.
  public var steps: [Int]
  /// The value of each.
  public var values: [Double]
  /// The number of the attempt that computed each.
  public var attempts: [Int]
  /// When each was computed, by the clock of its node; nil where the server does not tell.
  public var recordedAt: [Timestamp]?
  /// How many values there are in the stretch that was asked for: more than are given where the curve was thinned out.
  public var total: Int?
  /// The step to ask from for what comes next; nil at the end, and where the curve was thinned out instead.
  public var next: Int?
  /// Where attempts took over along the whole curve, by step; nil where the server does not tell.
  public var boundaries: [CurveBoundary]?

  /// A series; all have one length.
  public init(
    metric: String, steps: [Int], values: [Double], attempts: [Int], recordedAt: [Timestamp]? = nil,
    total: Int? = nil, next: Int? = nil, boundaries: [CurveBoundary]? = nil
  ) {
    self.total = total
    self.next = next
    self.boundaries = boundaries
    self.metric = metric
    self.steps = steps
    self.values = values
    self.attempts = attempts
    self.recordedAt = recordedAt
  }
}

/// `GET /runs/{run}/compare/{other}?metric=loss`.
public struct RunComparison: Hashable, Sendable, Codable {
  /// One run.
  public var run: RunID
  /// The other.
  public var other: RunID
  /// The metric.
  public var metric: String
  /// Steps of which both have a value.
  public var stepsCompared: Int
  /// Those where both values have the same bits.
  public var stepsEqual: Int
  /// Steps that only `run` has.
  public var onlyInRun: Int
  /// Steps that only `other` has.
  public var onlyInOther: Int
  /// The first step where the values differ, and both values.
  public var firstDifference: Difference?
  /// The largest difference, in absolute value.
  public var largestDifference: Double

  /// A step where two runs differ.
  public struct Difference: Hashable, Sendable, Codable {
    /// The step.
    public var step: Int
    /// The value in `run`.
    public var value: Double
    /// The value in `other`.
    public var otherValue: Double

    /// A step where two runs differ.
    public init(step: Int, value: Double, otherValue: Double) {
      self.step = step
      self.value = value
      self.otherValue = otherValue
    }
  }

  /// A comparison.
  public init(
    run: RunID, other: RunID, metric: String, stepsCompared: Int, stepsEqual: Int, onlyInRun: Int, onlyInOther: Int,
    firstDifference: Difference?, largestDifference: Double
  ) {
    self.run = run
    self.other = other
    self.metric = metric
    self.stepsCompared = stepsCompared
    self.stepsEqual = stepsEqual
    self.onlyInRun = onlyInRun
    self.onlyInOther = onlyInOther
    self.firstDifference = firstDifference
    self.largestDifference = largestDifference
  }
}

/// One line of the audit log; also what `GET /events` streams as server-sent events.
public struct EventView: Hashable, Sendable, Codable {
  /// Its id; ascending.
  public var id: EventID
  /// When.
  public var at: Timestamp
  /// Who: a user, or `controller:EPOCH`.
  public var actor: String
  /// What: `job.submitted`, `lease.terminated`, ...
  public var action: String
  /// To what: `job-17`.
  public var subject: String
  /// A sentence.
  public var detail: String

  /// A line of the audit log.
  public init(id: EventID, at: Timestamp, actor: String, action: String, subject: String, detail: String) {
    self.id = id
    self.at = at
    self.actor = actor
    self.action = action
    self.subject = subject
    self.detail = detail
  }
}

/// `GET /admin/doctor`.
public struct DoctorReport: Hashable, Sendable, Codable {
  /// One thing that was looked at.
  public struct Check: Hashable, Sendable, Codable {
    /// What.
    public var name: String
    /// Whether it is well.
    public var passed: Bool
    /// What was found, or what is wrong and what to do.
    public var detail: String

    /// One check.
    public init(name: String, passed: Bool, detail: String) {
      self.name = name
      self.passed = passed
      self.detail = detail
    }
  }

  /// All checks.
  public var checks: [Check]

  /// A report.
  public init(checks: [Check]) { self.checks = checks }
}
