public import Domain
public import Wire

/// What `/runs/N` shows.
public struct RunContent: Hashable, Sendable {
  /// The run.
  public var run: RunView
  /// The curve to draw large; nil where the run has none.
  public var series: MetricSeries?
  /// A second curve, drawn small: how well it does on data that it does not learn from.
  public var accuracy: MetricSeries?
  /// How many steps of `series` each attempt, by number, computed again.
  public var redone: [Int: Int]
  /// What its ranks left to be kept; nil where none have run.
  public var artifacts: ArtifactContent?

  /// The content of `/runs/N`.
  public init(
    run: RunView, series: MetricSeries?, accuracy: MetricSeries? = nil, redone: [Int: Int] = [:],
    artifacts: ArtifactContent? = nil
  ) {
    self.run = run
    self.series = series
    self.accuracy = accuracy
    self.redone = redone
    self.artifacts = artifacts
  }

  /// The metric that the page draws large where none is asked for: the loss, or what comes first.
  public static func mainMetric(of metrics: [MetricSummary]) -> String? {
    let names = metrics.map(\.metric)
    return ["loss", "train_loss"].first(where: names.contains) ?? names.first
  }

  /// The metric that the page draws small beside it.
  public static let accuracyMetric = "test_accuracy"
}

extension PageRenderer {
  /// `/runs/N`: the whole history of a job.
  public func run(_ content: RunContent, at now: Timestamp, in frame: Frame) -> String {
    page(.run, RunModel(content, now), title: content.run.job.name, section: .runs, in: frame)
  }
}

struct RunModel {
  /// So many of the newest proofs are shown.
  static let checksMost = 8

  struct Attempt {
    let number: Int
    let badge: Badge
    let leaseName: String
    let nodeNames: String
    let began: Moment
    let ended: Moment?
    let lasted: String
    let resumed: String
    let redone: String
    let detail: String?
  }

  struct Checkpoint {
    let step: String
    let badge: Badge
    let size: String
    let attempt: Int
    let durable: Moment?
    let prefix: String
    let isLatest: Bool
    let isFinal: Bool
    let isPinned: Bool
    let rejection: String?
  }

  struct Metric {
    let name: String
    let link: String
    let last: String
    let step: String
    let count: String
    let isCurrent: Bool
  }

  struct ResumeCheck {
    let from: String
    let steps: String
    let badge: Badge
    let cause: String?
    let detail: String?
    let replays: String
    let at: Moment

    init(_ check: ResumeCheckView) {
      from = "step " + grouped(check.step)
      steps = grouped(check.steps)
      badge = Badge(check.verdict)
      cause = check.verdict?.cause.map { "first ingredient that differs: \($0.title)" }
      detail = check.verdict?.detail
      replays = check.replays.map { "\($0.job.run)" }.joined(separator: ", ")
      at = Moment(check.endedAt ?? check.createdAt)
    }
  }

  struct Note {
    let author: String
    let at: Moment
    let text: String
  }

  let runID: String
  let job: JobRow
  let attemptCount: Int
  let stepsRedone: String
  let chart: String?
  let chartMetric: String
  let notNumbers: Int?
  let noChart: Empty?
  let hasMarks: Bool
  let accuracyChart: String?
  let accuracyLast: String?
  let metrics: [Metric]
  let hasMetrics: Bool
  let attempts: [Attempt]
  let noAttempt: Empty?
  let handoffChart: String?
  let resumeChecks: [ResumeCheck]
  let hasResumeChecks: Bool
  let checkpoints: [Checkpoint]
  let noCheckpoint: Empty?
  let artifacts: ArtifactsModel?
  let provenance: ProvenanceModel
  let tags: String?
  let startedFrom: String?
  let reproduces: String?
  let reproducesLink: String?
  let cost: String?
  let notes: [Note]
  let hasNotes: Bool

  init(_ content: RunContent, _ now: Timestamp) {
    let run = content.run
    runID = "\(run.id)"
    job = JobRow(run.job, at: now)
    attemptCount = run.attempts.count
    stepsRedone = grouped(run.stepsRedone) + (run.stepsRedone == 1 ? " step redone" : " steps redone")
    let main = content.series.flatMap {
      CurveChart($0, attempts: run.attempts, checkpoints: run.checkpoints, redone: content.redone)
    }
    chart = main?.html
    hasMarks = main != nil && !run.checkpoints.isEmpty
    chartMetric = content.series?.metric ?? "Metrics"
    notNumbers = main.flatMap { $0.notNumbers > 0 ? $0.notNumbers : nil }
    noChart =
      main == nil
      ? Empty(
        title: "No value yet",
        advice: "The program appends JSON lines to the file that BATON_METRICS names; they appear here as they come.",
        command: nil) : nil
    let small = content.accuracy.flatMap { CurveChart($0, attempts: run.attempts, height: 120) }
    accuracyChart = small?.html
    accuracyLast = content.accuracy?.values.last.map(shown)
    metrics = run.metrics.map {
      Metric(
        name: $0.metric, link: "/runs/\(run.id.rawValue)?metric=\(pathComponent($0.metric))",
        last: shown($0.lastValue), step: grouped($0.lastStep),
        count: grouped($0.count) + ($0.count == 1 ? " value" : " values"),
        isCurrent: $0.metric == content.series?.metric)
    }
    hasMetrics = !metrics.isEmpty
    attempts = run.attempts.map { attempt in
      Attempt(
        number: attempt.number, badge: Badge(attempt), leaseName: attempt.leaseName,
        nodeNames: attempt.nodes.map(\.name).joined(separator: ", "), began: Moment(attempt.createdAt),
        ended: attempt.endedAt.map(Moment.init), lasted: age(attempt.createdAt, at: attempt.endedAt ?? now),
        resumed: attempt.resumedFromStep.map {
          "step " + grouped($0) + (attempt.resumedFromRun.map { " of \($0)" } ?? "")
        } ?? "the beginning",
        redone: grouped(content.redone[attempt.number] ?? 0), detail: attempt.detail)
    }
    noAttempt =
      run.attempts.isEmpty
      ? Empty(
        title: "It has not run yet", advice: "Why it waits, lease by lease:", command: "baton explain \(run.job.id)")
      : nil
    handoffChart = HandoffChart(run.handoffs ?? [])?.html
    resumeChecks = (run.resumeChecks ?? []).prefix(Self.checksMost).map(ResumeCheck.init)
    hasResumeChecks = !resumeChecks.isEmpty
    checkpoints = run.checkpoints.reversed().map {
      Checkpoint(
        step: grouped($0.step), badge: Badge($0.state), size: "\($0.bytes)", attempt: $0.attemptNumber,
        durable: $0.durableAt.map(Moment.init), prefix: $0.prefix, isLatest: $0.isLatest, isFinal: $0.isFinal,
        isPinned: !($0.pins ?? []).isEmpty, rejection: $0.rejection)
    }
    noCheckpoint = run.checkpoints.isEmpty ? Self.noCheckpoint(run.job) : nil
    artifacts = content.artifacts.map { ArtifactsModel($0, of: run) }
    provenance = ProvenanceModel(run.provenance)
    tags = run.tags.flatMap { $0.isEmpty ? nil : $0.joined(separator: ", ") }
    startedFrom = run.startedFrom.map { "step \(grouped($0.step)) of \($0.run)" }
    reproduces = run.reproduces.map { "\($0)" }
    reproducesLink = run.reproduces.map { "/runs/\($0.rawValue)" }
    let held = run.attempts.compactMap(\.cost).reduce(AttemptCost(nodeSeconds: 0, gpuSeconds: 0), +)
    cost =
      held.nodeSeconds > 0
      ? decimal(held.nodeSeconds / 3600, digits: 3) + " node hours"
        + (held.gpuSeconds > 0 ? ", " + decimal(held.gpuSeconds / 3600, digits: 3) + " GPU hours" : "") : nil
    notes = (run.notes ?? []).map { Note(author: $0.author, at: Moment($0.at), text: $0.text) }
    hasNotes = !notes.isEmpty
  }

  /// What is said, and can be done, where a job has no checkpoint.
  private static func noCheckpoint(_ job: JobView) -> Empty {
    guard !job.state.isFinal else {
      return Empty(title: "No checkpoint", advice: "The run is over without one.", command: nil)
    }
    guard job.savesByItself != true else {
      return Empty(
        title: "No checkpoint yet",
        advice: "Its program saves by itself and cannot be asked to: what it saves appears here.", command: nil)
    }
    let advice = job.state == .running ? "Ask it for one:" : "While it runs it can be asked for one:"
    return Empty(title: "No checkpoint yet", advice: advice, command: "baton checkpoint \(job.id)")
  }
}

/// All that is needed to re-create a run.
struct ProvenanceModel {
  struct Dataset {
    let name: String
    let version: Int
    let contentID: String
  }

  struct Node {
    let attempt: Int
    let name: String
    let nodeType: String
    let hardware: String
    let software: [String]
  }

  let jobFile: String
  let commit: String?
  let branch: String?
  let isDirty: Bool
  let diff: String?
  let directory: String?
  let host: String?
  let seed: String
  let datasets: [Dataset]
  let hasDatasets: Bool
  let nodes: [Node]
  let hasNodes: Bool
  let code: String?
  let codeFacts: String?
  let resolved: String?
  let environments: [Environment]

  struct Environment {
    let places: String
    let summary: String
    let text: String

    init(_ view: EnvironmentView) {
      places = view.places.map { "attempt \($0.attempt) on \($0.node)" }.joined(separator: ", ")
      summary =
        ["cpu", "python", "blas"].compactMap { view.facts[$0] }.joined(separator: ", ")
        + (view.packages.isEmpty ? "" : ", " + Domain.counted(view.packages.count, "package"))
      let facts = view.facts.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
      let packages = view.packages.sorted { $0.key < $1.key }.map { "\($0.key)==\($0.value)" }
      text = (facts + (packages.isEmpty ? [] : [""]) + packages).joined(separator: "\n")
    }
  }

  init(_ provenance: RunProvenance) {
    let captured = provenance.source.code
    code = captured?.sha256
    codeFacts = captured.map { code in
      "\(Domain.counted(code.files, "file")), \(code.bytes)"
        + (code.leftOut.isEmpty
          ? "" : "; not captured: " + code.leftOut.map { "\($0.path) (\($0.reason))" }.joined(separator: ", "))
    }
    resolved = provenance.resolved
    environments = (provenance.environments ?? []).map(Environment.init)
    jobFile = provenance.jobFile
    commit = provenance.source.gitCommit
    branch = provenance.source.gitBranch
    isDirty = provenance.source.gitDirty ?? false
    diff = provenance.source.gitDiff.flatMap { $0.isEmpty ? nil : $0 }
    directory = provenance.source.directory
    host = provenance.source.host
    seed = "\(provenance.seed)"
    datasets = provenance.datasets.map { Dataset(name: $0.name, version: $0.version, contentID: $0.contentID) }
    hasDatasets = !datasets.isEmpty
    nodes = provenance.nodes.map { node in
      let hardware =
        [Self.counted(node.gpus)]
        + [node.cores.map { Domain.counted($0, "core") }, node.memory.map { "\($0)" }]
        .compactMap { $0 }
      return Node(
        attempt: node.attemptNumber, name: node.node.name, nodeType: node.nodeType,
        hardware: hardware.filter { !$0.isEmpty }.joined(separator: " \u{00B7} "),
        software: node.software.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" })
    }
    hasNodes = !nodes.isEmpty
  }

  /// `4 × A100`: equal neighbours together.
  private static func counted(_ models: [String]) -> String {
    var groups: [(count: Int, model: String)] = []
    for model in models {
      if groups.last?.model == model {
        groups[groups.count - 1].count += 1
      } else {
        groups.append((1, model))
      }
    }
    return groups.map { "\($0.count) \u{00D7} \($0.model)" }.joined(separator: ", ")
  }
}
