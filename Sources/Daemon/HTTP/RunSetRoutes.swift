import Domain
import Hummingbird
import ObjectStorage
import Store
import Wire

/// Several runs at once over HTTP: side by side, and what came from what.
enum RunSetRoutes {
  /// More than these nobody can look at side by side.
  private static let runsMost = 16

  static let all: [Route] = [
    Route(
      method: .get, path: "/runs/compare", access: .viewer,
      summary: "Two or more runs side by side (run=1&run=2): what differed going in, their curves, their results",
      gives: RunSetComparison.self
    ) { call in
      try await .json(compare(call))
    },
    Route(
      method: .get, path: "/runs/{run}/lineage", access: .viewer,
      summary: "What a run came from, and what came from it: data, runs, checkpoints", gives: RunLineage.self
    ) { call in
      let run = try await RunRoutes.find(call, "run")
      return try await .json(LineageBuilder(services: call.services).lineage(of: run))
    },
  ]

  /// The runs that the address names, as `run=1&run=2` or `run=1,2`, each once.
  static func runs(_ call: Call) async throws -> [RunID] {
    let texts = call.request.uri.queryParameters[values: "run"].flatMap { $0.split(separator: ",") }.map(String.init)
    var found: [RunID] = []
    for text in texts {
      let id = try await RunRoutes.find(call, text: text)
      if !found.contains(id) { found.append(id) }
    }
    guard (2...runsMost).contains(found.count) else {
      throw APIFailure(
        .badRequest, "2 to \(runsMost) different runs are compared, as in run=1&run=2; \(found.count) were named")
    }
    return found
  }

  /// What `GET /runs/compare` gives.
  static func compare(_ call: Call) async throws -> RunSetComparison {
    let ids = try await runs(call)
    let services = call.services
    var views: [RunView] = []
    var inputs: [RunInputs] = []
    for id in ids {
      let view = try await RunView.build(id, services)
      var spec = try await services.store.run(id).pinnedSpec
      spec.environment = SecretNames.withoutSecrets(spec.environment)
      let files = try await CodeRoutes.archive(of: view.provenance.source.code, services)
      inputs.append(try RunInputs(view, spec: spec, files: files))
      views.append(view)
    }
    let names = Set(views.flatMap { $0.metrics.map(\.metric) }).sorted()
    let metric = call.query("metric") ?? mainMetric(of: names)
    return RunSetComparison(
      runs: views.map(RunSetComparison.Run.init), differences: RunInputs.differences(inputs),
      files: zip(ids, inputs).dropFirst().flatMap { inputs[0].fileDifferences(to: $1, run: $0) },
      results: try await results(of: views, names, services), metric: metric,
      curves: try await curves(ids, metric, services))
  }

  /// The loss, or what comes first.
  static func mainMetric(of names: [String]) -> String {
    ["loss", "train_loss"].first(where: names.contains) ?? names.first ?? "loss"
  }

  private static func results(
    of views: [RunView], _ names: [String], _ services: Services
  ) async throws -> [RunSetComparison.MetricResult] {
    var extremes: [[String: MetricExtremes]] = []
    for view in views { extremes.append(try await services.store.metricExtremes(of: view.job.id)) }
    return names.map { name in
      let own = views.map { $0.metrics.first { $0.metric == name } }
      return RunSetComparison.MetricResult(
        metric: name, lastStep: own.map { $0?.lastStep },
        last: own.map { $0.flatMap { $0.lastValue.isFinite ? $0.lastValue : nil } },
        lowest: extremes.map { $0[name]?.lowest }, highest: extremes.map { $0[name]?.highest })
    }
  }

  /// Each run's curve against that of the first.
  private static func curves(
    _ ids: [RunID], _ metric: String, _ services: Services
  ) async throws -> [RunComparison] {
    var found: [RunComparison] = []
    for id in ids.dropFirst() {
      let tally = try await services.store.tally(metric, .curve(of: ids[0].job), .curve(of: id.job))
      if tally.leftCount == 0 { break }
      if tally.rightCount > 0 { found.append(RunComparison(run: ids[0], other: id, metric: metric, tally)) }
    }
    return found
  }
}

extension RunSetComparison.Run {
  /// A run as it stands beside others.
  init(_ view: RunView) {
    let now = view.job.endedAt
    self.init(
      id: view.id, name: view.job.name, state: view.job.state, submittedAt: view.job.submittedAt,
      ranSeconds: view.attempts.reduce(0) { sum, attempt in
        guard let began = attempt.runningAt, let ended = attempt.endedAt ?? now else { return sum }
        return sum + max(0, (ended - began).seconds)
      }, attempts: view.attempts.count,
      cost: view.attempts.compactMap(\.cost).reduce(AttemptCost(nodeSeconds: 0, gpuSeconds: 0), +),
      tags: view.tags ?? [])
  }
}

/// Draws up what a run came from and what came from it.
struct LineageBuilder {
  let services: Services

  /// The lineage of `run`: itself, what it started from or does again, and the same of those, in both directions.
  func lineage(of run: RunID) async throws -> RunLineage {
    let store = services.store
    var lineage = RunLineage(run: run, nodes: [], edges: [])
    let family = try await store.family(of: run.job)
    let starts = Set(family.compactMap(\.startCheckpoint))
    for member in family {
      lineage.nodes.append(
        .init(id: "\(member.job.run)", kind: "run", title: member.name, detail: member.state.rawValue))
      for version in try await store.datasets(of: member.job) {
        let data = RunLineage.Node(
          id: "data-\(version.id.rawValue)", kind: "data", title: "\(version.name) version \(version.version)",
          detail: String(version.contentID.prefix(12)))
        if !lineage.nodes.contains(data) { lineage.nodes.append(data) }
        lineage.edges.append(.init(from: data.id, to: "\(member.job.run)", kind: "read"))
      }
      try await addCheckpoints(of: member, starts, to: &lineage)
      if let start = member.startCheckpoint {
        lineage.edges.append(.init(from: "\(start)", to: "\(member.job.run)", kind: "started"))
      }
      if let original = member.reproduces {
        lineage.edges.append(.init(from: "\(original)", to: "\(member.job.run)", kind: "reproduced"))
      }
    }
    return lineage
  }

  /// Of a run's checkpoints, those that something went on from, and its newest.
  private func addCheckpoints(
    of member: FamilyMember, _ starts: Set<CheckpointID>, to lineage: inout RunLineage
  ) async throws {
    let attempts = try await services.store.attempts(of: member.job)
    let latest = try await services.store.job(member.job).latestCheckpoint
    for checkpoint in try await services.store.checkpoints(of: member.job).reversed() {
      let resumed = attempts.filter { $0.resumeCheckpoint == checkpoint.id }.map { "attempt \($0.number)" }
      guard !resumed.isEmpty || starts.contains(checkpoint.id) || checkpoint.id == latest else { continue }
      lineage.nodes.append(
        .init(
          id: "\(checkpoint.id)", kind: "checkpoint", title: "step \(checkpoint.step)",
          detail: checkpoint.state.rawValue))
      lineage.edges.append(
        .init(
          from: "\(member.job.run)", to: "\(checkpoint.id)", kind: "wrote",
          detail: resumed.isEmpty ? "" : "\(resumed.joined(separator: ", ")) went on from it"))
    }
  }
}
