import Domain
import Hummingbird
import Store
import Wire

/// Runs and their curves over HTTP.
enum RunRoutes {
  static let all: [Route] = [
    Route(
      method: .get, path: "/runs", access: .viewer,
      summary:
        "Runs, newest first, at most `limit` (1000); with before=ID those before it, tag=WORD those that have it, over=true or false those that are over, or are not",
      gives: Listing<JobView>.self
    ) { call in
      var filter = JobFilter()
      filter.tag = call.query("tag")
      if call.query("over") != nil { filter.isOver = try call.flag("over") }
      return try await .json(JobRoutes.page(filter, call, of: JobRoutes.pageMost))
    },
    Route(
      method: .get, path: "/runs/{run}", access: .viewer, summary: "The whole history of a job", gives: RunView.self
    ) { call in
      try await .json(RunView.build(find(call, "run"), call.services))
    },
    Route(
      method: .get, path: "/runs/{run}/compare/{other}", access: .viewer,
      summary: "Two runs' curves, step by step, bit for bit", gives: RunComparison.self
    ) { call in
      let run = try await find(call, "run")
      let other = try await find(call, "other")
      let metric = call.query("metric") ?? "loss"
      let tally = try await call.services.store.tally(metric, .curve(of: run.job), .curve(of: other.job))
      guard tally.leftCount > 0, tally.rightCount > 0 else {
        throw APIFailure(.notFound, "\(tally.leftCount == 0 ? run : other) has no value of metric '\(metric)'")
      }
      return try .json(RunComparison(run: run, other: other, metric: metric, tally))
    },
  ]

  /// The run that the path names: `17`, `run-17` or `job-17`.
  static func find(_ call: Call, _ name: String) async throws -> RunID {
    try await find(call, text: call.parameter(name))
  }

  /// The run that `text` means.
  static func find(_ call: Call, text: String) async throws -> RunID {
    guard let id = RunID(text: text) ?? JobID(text: text)?.run else {
      throw APIFailure(.notFound, "'\(text)' names no run: write its number, as in 17 or run-17")
    }
    let job = try await call.services.store.job(id.job)
    guard call.principal.role == .admin || job.project == call.principal.project else {
      throw StoreError.notFound(kind: "run", name: text)
    }
    return id
  }
}

extension RunComparison {
  /// What came of comparing all values of two curves.
  init(run: RunID, other: RunID, metric: String, _ tally: SeriesTally) {
    let first = tally.firstDifference.map { differing in
      Difference(step: Int(differing.step), value: differing.left, otherValue: differing.right ?? .nan)
    }
    self.init(
      run: run, other: other, metric: metric, stepsCompared: tally.compared, stepsEqual: tally.equal,
      onlyInRun: tally.onlyLeft, onlyInOther: tally.onlyRight, firstDifference: first,
      largestDifference: tally.largestDifference)
  }
}

extension RunView {
  /// The whole history of a job as it is shown.
  static func build(_ id: RunID, _ services: Services) async throws -> RunView {
    let store = services.store
    let run = try await store.run(id)
    let summaries = try await store.metricSummaries(of: id.job)
    let nodes = try await store.nodes()
    var facts: [RunProvenance.NodeFacts] = []
    for attempt in run.attempts {
      for share in attempt.nodes {
        guard let node = nodes.first(where: { $0.id == share.node }) else { continue }
        facts.append(
          RunProvenance.NodeFacts(
            attemptNumber: attempt.number, node: NodeRef(id: node.id, name: node.request.name),
            nodeType: node.request.nodeType,
            gpus: node.facts.gpus.filter { share.gpus.contains($0.index) }.map(\.model), cores: node.facts.cores,
            memory: node.facts.memory, software: node.facts.other))
      }
    }
    var view = RunView(
      id: id, job: try await JobView.build(id.job, services),
      attempts: try await RunFacts(services, nodes).attempts(of: run),
      checkpoints: try await CheckpointView.build(run.checkpoints, latest: run.job.latestCheckpoint, services),
      metrics: summaries.map {
        MetricSummary(
          metric: $0.metric, count: $0.count, firstStep: Int($0.firstStep), lastStep: Int($0.lastStep),
          lastValue: $0.lastValue)
      },
      provenance: RunProvenance(
        jobFile: run.shownText, source: SourceProvenance(run.provenance),
        datasets: run.datasets.map { DatasetRef(name: $0.name, version: $0.version, contentID: $0.contentID) },
        seed: run.job.spec.seed, nodes: facts),
      stepsRedone: try await store.stepsRedone(of: id.job),
      handoffs: Handoff.all(of: try await store.moments(of: id.job)),
      resumeChecks: try await ResumeCheckView.all(of: id, services))
    try await RunFacts(services, nodes).complete(&view, run)
    return view
  }
}
