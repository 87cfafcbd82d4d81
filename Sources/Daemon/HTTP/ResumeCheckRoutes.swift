import Domain
import Hummingbird
import ObjectStorage
import Store
import Wire

/// Proofs that a run goes on from a checkpoint as it did, over HTTP.
enum ResumeCheckRoutes {
  static let all: [Route] = [
    Route(
      method: .post, path: "/runs/{run}/resume-checks", access: .user,
      summary: "Replay the steps after a checkpoint, twice, and compare them with what the original computed",
      takes: ResumeCheckRequest.self, gives: ResumeCheckView.self
    ) { call in
      let run = try await RunRoutes.find(call, "run")
      let wanted = try await ResumeCheckMaker(call.services, run, try await call.body()).make()
      let check = try await call.services.store.addResumeCheck(wanted, by: call.principal.actor)
      return try await .json(ResumeCheckView.build(check, call.services), status: .created)
    },
    Route(
      method: .get, path: "/runs/{run}/resume-checks", access: .viewer, summary: "The proofs about a run, newest first",
      gives: Listing<ResumeCheckView>.self
    ) { call in
      let run = try await RunRoutes.find(call, "run")
      let views = try await ResumeCheckView.all(of: run, call.services)
      return try await .json(Listing(now: call.services.store.now(), items: views))
    },
    Route(
      method: .get, path: "/resume-checks/{check}", access: .viewer, summary: "One proof", gives: ResumeCheckView.self
    ) { call in
      try await .json(ResumeCheckView.build(find(call), call.services))
    },
    Route(
      method: .get, path: "/resume-checks/{check}/watch", access: .viewer,
      summary: "Server-sent events: `check` with a ResumeCheckView at every change, until there is a verdict"
    ) { call in
      let check = try await find(call)
      let services = call.services
      return StreamRoutes.events { send in
        var last: ResumeCheckView?
        let jobs = Set(check.replays + [check.job])
        let wakeUps = StreamRoutes.wakeUps(services) { change in
          if case .job(let job) = change { return jobs.contains(job) }
          return change == .everything
        }
        for await _ in wakeUps {
          let view = try await ResumeCheckView.build(services.store.resumeCheck(check.id), services)
          if view != last { try await send(.init(name: "check", value: view)) }
          last = view
          if view.verdict != nil { return }
        }
      }
    },
  ]

  /// The proof that the path names: `3` or `check-3`.
  private static func find(_ call: Call) async throws -> ResumeCheckRecord {
    let text = try call.parameter("check")
    guard let id = ResumeCheckID(text: text) else {
      throw APIFailure(.notFound, "'\(text)' names no check: write its number, as in 3 or check-3")
    }
    let check = try await call.services.store.resumeCheck(id)
    let project = try await call.services.store.job(check.job).project
    guard call.principal.role == .admin || project == call.principal.project else {
      throw StoreError.notFound(kind: "check", name: text)
    }
    return check
  }
}

extension ResumeCheckView {
  /// A proof as it is shown.
  static func build(_ check: ResumeCheckRecord, _ services: Services) async throws -> ResumeCheckView {
    var replays: [Replay] = []
    for id in check.replays {
      let job = try await services.store.job(id)
      replays.append(Replay(job: id, state: job.state, reason: job.reason))
    }
    return ResumeCheckView(
      id: check.id, run: check.job.run, checkpoint: check.checkpoint,
      attemptNumber: try await services.store.attempt(check.attempt).number, step: Int(check.step), steps: check.steps,
      metric: check.metric, tolerance: check.tolerance, replays: replays, requestedBy: check.requestedBy,
      createdAt: check.createdAt, verdict: check.verdict, endedAt: check.endedAt)
  }

  /// The proofs about a run, newest first.
  static func all(of run: RunID, _ services: Services) async throws -> [ResumeCheckView] {
    var views: [ResumeCheckView] = []
    for check in try await services.store.resumeChecks(of: run.job) {
      views.append(try await build(check, services))
    }
    return views
  }
}

/// Looks whether a proof can be made, and what it takes.
private struct ResumeCheckMaker {
  private static let stepsMost = 1_000_000_000
  /// A program's word about its state has at most so many bytes.
  private static let stateBytesMost = Int64(4 << 20)

  let services: Services
  let run: RunID
  let request: ResumeCheckRequest

  init(_ services: Services, _ run: RunID, _ request: ResumeCheckRequest) {
    self.services = services
    self.run = run
    self.request = request
  }

  /// The proof, with both replays.
  ///
  /// Throws `APIFailure` where the original did not go on far enough, and says what would do.
  func make() async throws -> NewResumeCheck {
    guard (1...Self.stepsMost).contains(request.steps) else {
      throw APIFailure(.badRequest, "steps: from 1 to \(Self.stepsMost)")
    }
    let tolerance = request.tolerance ?? 0
    guard (0...1).contains(tolerance) else {
      throw APIFailure(.badRequest, "tolerance: a share of the value, from 0 to 1, as in 1e-6")
    }
    let store = services.store
    let checkpoint = try await checkpoint()
    let metric = try await metric()
    try await lookFurther(than: checkpoint, metric)
    let original = try await store.run(run)
    let data = original.datasets.map { pinned in
      DataRequest(
        name: pinned.name, version: pinned.version,
        mode: original.job.spec.data.first { $0.name == pinned.name }?.mode ?? .copy)
    }
    let replays = (1...2).map { number in
      JobSubmission(
        project: original.job.project, user: original.job.user,
        spec: original.job.spec.replay(number: number, of: run, step: checkpoint.step, data: data),
        specText: original.specText, provenance: original.provenance, startCheckpoint: checkpoint.id)
    }
    return NewResumeCheck(
      checkpoint: checkpoint.id, steps: request.steps, metric: metric, tolerance: tolerance,
      saved: try await saved(in: checkpoint), replays: replays)
  }

  private func checkpoint() async throws -> CheckpointRecord {
    let durable = try await services.store.checkpoints(of: run.job).filter { $0.state == .durable }
    if let found = durable.first(where: { $0.step == Int64(request.step) }) { return found }
    let steps = durable.map { String($0.step) }.reversed().joined(separator: ", ")
    let known = durable.isEmpty ? "it has none" : "those are of step \(steps)"
    throw APIFailure(.notFound, "\(run) has no DURABLE checkpoint of step \(request.step): \(known)")
  }

  private func metric() async throws -> String {
    let names = try await services.store.metrics(of: run.job)
    if let wanted = request.metric {
      guard names.contains(wanted) else {
        throw APIFailure(.notFound, "\(run) has no metric '\(wanted)': it has \(names.joined(separator: ", "))")
      }
      return wanted
    }
    guard let first = names.first else {
      throw APIFailure(.wrongState, "\(run) tells no metric, so that nothing can be compared")
    }
    return names.contains("loss") ? "loss" : first
  }

  /// Whether the attempt that saved went on for as many steps, in one go.
  private func lookFurther(than checkpoint: CheckpointRecord, _ metric: String) async throws {
    func stepsAfter(_ checkpoint: CheckpointRecord) async throws -> Int64 {
      let last = try await services.store.lastStep(
        metric, .attempt(of: checkpoint.job, number: checkpoint.attemptNumber), after: checkpoint.step)
      return (last ?? checkpoint.step) - checkpoint.step
    }
    let far = try await stepsAfter(checkpoint)
    if far >= Int64(request.steps) { return }
    var others: [String] = []
    for other in try await services.store.checkpoints(of: run.job)
    where other.state == .durable && other.id != checkpoint.id {
      if try await stepsAfter(other) >= Int64(request.steps) { others.append(String(other.step)) }
    }
    let gone = far > 0 ? "went on for \(far) steps" : "did not go on"
    let advice =
      (far > 0 ? ["--steps \(far)"] : [])
      + (others.isEmpty ? [] : ["the checkpoint of step \(others.reversed().joined(separator: " or "))"])
    throw APIFailure(
      .wrongState,
      "attempt \(checkpoint.attemptNumber), which saved step \(checkpoint.step), \(gone) after it without interruption, "
        + "and \(request.steps) are wanted"
        + (advice.isEmpty ? "" : ": try \(advice.joined(separator: ", or "))"))
  }

  /// What ranks told of their state when they saved: `baton-state.json`, of the whole checkpoint or of each rank's part.
  private func saved(in checkpoint: CheckpointRecord) async throws -> IngredientReport? {
    guard let prefix = checkpoint.objectPrefix else { return nil }
    do {
      let manifest = try await readCheckpointManifest(
        services.objects, prefix: prefix, sha256: checkpoint.manifestHash ?? "")
      var report = IngredientReport()
      for file in manifest.files.files where file.path.split(separator: "/").last == "baton-state.json" {
        guard file.size <= Self.stateBytesMost else { continue }
        let bytes = FileBytes()
        try await readCheckpointFile(services.objects, file) { bytes.add($0) }
        guard let part = StateFile.parse(bytes.all) else { continue }
        report.ranks.merge(part.ranks) { first, _ in first }
      }
      return report.ranks.isEmpty ? nil : report
    } catch let fault as CheckpointFault {
      throw APIFailure(
        .wrongState, "\(checkpoint.id) cannot be read: \(fault); `baton checkpoint verify \(checkpoint.id)` marks it")
    }
  }
}
