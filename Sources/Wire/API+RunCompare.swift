public import Domain

/// `GET /runs/compare?run=1&run=2&metric=loss`: two or more runs side by side.
public struct RunSetComparison: Hashable, Sendable, Codable {
  /// The runs, as they were asked for; every list of values below is in this order.
  public var runs: [Run]
  /// What differed going in, section by section; what is equal in all is not told.
  public var differences: [InputDifference]
  /// Where the code of a run differs from that of the first, file by file.
  public var files: [FileDifference]
  /// The metrics that any has.
  public var results: [MetricResult]
  /// Of `metric`, each run against the first, bit for bit.
  public var metric: String
  /// One for each run but the first; those that have no value of the metric are left out.
  public var curves: [RunComparison]

  /// One of the runs.
  public struct Run: Hashable, Sendable, Codable {
    /// Its id.
    public var id: RunID
    /// Its name.
    public var name: String
    /// Where it stands.
    public var state: JobState
    /// When it was submitted.
    public var submittedAt: Timestamp
    /// How long its ranks ran, in seconds.
    public var ranSeconds: Double
    /// How often it was begun.
    public var attempts: Int
    /// What its attempts held.
    public var cost: AttemptCost
    /// The words it is found by.
    public var tags: [String]

    /// One of the runs.
    public init(
      id: RunID, name: String, state: JobState, submittedAt: Timestamp, ranSeconds: Double, attempts: Int,
      cost: AttemptCost, tags: [String]
    ) {
      self.id = id
      self.name = name
      self.state = state
      self.submittedAt = submittedAt
      self.ranSeconds = ranSeconds
      self.attempts = attempts
      self.cost = cost
      self.tags = tags
    }
  }

  /// One thing that was not the same for all.
  public struct InputDifference: Hashable, Sendable, Codable {
    /// `job`, `code`, `data`, `seeds`, `environment`, `packages` or `topology`.
    public var section: String
    /// What, as in `resources.nodes`.
    public var key: String
    /// The value of each run; nil where it has none.
    public var values: [String?]

    /// A difference.
    public init(section: String, key: String, values: [String?]) {
      self.section = section
      self.key = key
      self.values = values
    }
  }

  /// A file that a run has otherwise than the first.
  public struct FileDifference: Hashable, Sendable, Codable {
    /// The run.
    public var run: RunID
    /// The file.
    public var path: String
    /// `changed`, `added` or `removed`, seen from the first.
    public var change: String
    /// The hunks as `diff -u` shows them; nil for what is no text, or too large.
    public var diff: String?

    /// A file that differs.
    public init(run: RunID, path: String, change: String, diff: String?) {
      self.run = run
      self.path = path
      self.change = change
      self.diff = diff
    }
  }

  /// A metric of all runs.
  public struct MetricResult: Hashable, Sendable, Codable {
    /// Its name.
    public var metric: String
    /// The last step of each; nil where a run does not have it.
    public var lastStep: [Int?]
    /// The value there.
    public var last: [Double?]
    /// The lowest of each.
    public var lowest: [Double?]
    /// The highest of each.
    public var highest: [Double?]

    /// A metric of all runs.
    public init(metric: String, lastStep: [Int?], last: [Double?], lowest: [Double?], highest: [Double?]) {
      self.metric = metric
      self.lastStep = lastStep
      self.last = last
      self.lowest = lowest
      self.highest = highest
    }
  }

  /// A comparison.
  public init(
    runs: [Run], differences: [InputDifference], files: [FileDifference], results: [MetricResult], metric: String,
    curves: [RunComparison]
  ) {
    self.runs = runs
    self.differences = differences
    self.files = files
    self.results = results
    self.metric = metric
    self.curves = curves
  }
}

/// `GET /runs/{run}/lineage`: what a run came from, and what came from it.
public struct RunLineage: Hashable, Sendable, Codable {
  /// The run that was asked about.
  public var run: RunID
  /// Data, runs and checkpoints, each once.
  public var nodes: [Node]
  /// What came from what.
  public var edges: [Edge]

  /// A thing.
  public struct Node: Hashable, Sendable, Codable {
    /// `run-17`, `checkpoint-5`, `data-3`.
    public var id: String
    /// `data`, `run` or `checkpoint`.
    public var kind: String
    /// What a person calls it.
    public var title: String
    /// What is to be said of it: a state, a content id.
    public var detail: String

    /// A thing.
    public init(id: String, kind: String, title: String, detail: String) {
      self.id = id
      self.kind = kind
      self.title = title
      self.detail = detail
    }
  }

  /// One thing came from another.
  public struct Edge: Hashable, Sendable, Codable {
    /// From what.
    public var from: String
    /// What came of it.
    public var to: String
    /// `read`, `wrote`, `started` or `reproduced`.
    public var kind: String
    /// What is to be said of it, as in `attempt 2 resumed from it`.
    public var detail: String

    /// From one thing to another.
    public init(from: String, to: String, kind: String, detail: String = "") {
      self.from = from
      self.to = to
      self.kind = kind
      self.detail = detail
    }
  }

  /// A lineage.
  public init(run: RunID, nodes: [Node], edges: [Edge]) {
    self.run = run
    self.nodes = nodes
    self.edges = edges
  }
}
