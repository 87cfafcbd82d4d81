import Domain
import Hummingbird
import JobFile
import Scheduling
import Store
import Wire

/// Jobs over HTTP.
enum JobRoutes {
  /// As many come at a time where a page is asked for.
  static let pageMost = 1000

  static let all: [Route] = [
    Route(
      method: .get, path: "/jobs", access: .viewer,
      summary:
        "Jobs that are not over; with all=true, or state=STATE, page by page as /runs; those of a group, by index, with group=ID",
      gives: Listing<JobView>.self
    ) { call in
      if let group = call.query("group") {
        let jobs = try await GroupRoutes.jobs(of: GroupRoutes.find(group, call), call)
        return try await .json(Listing(now: call.services.store.now(), items: jobs))
      }
      var filter = JobFilter()
      if let text = call.query("state") {
        guard let state = JobState(rawValue: text.uppercased()) else {
          let known = JobState.allCases.map(\.rawValue).joined(separator: ", ")
          throw APIFailure(.badRequest, "'\(text)' is no state of a job: \(known)")
        }
        filter.states = [state]
      } else if try !call.flag("all") {
        let records = try await call.services.store.queue(project: call.projectFilter)
        return try await .json(
          Listing(now: call.services.store.now(), items: JobView.build(records, call.services)))
      }
      return try await .json(page(filter, call, of: pageMost))
    },
    Route(
      method: .post, path: "/jobs", access: .user,
      summary: "Submit a job, or only test a submission, which then is explained", takes: SubmitRequest.self,
      gives: JobAnswer.self
    ) { call in
      let request: SubmitRequest = try await call.body()
      let spec: JobSpec
      switch try parseJobFileMembers(request.file, fileName: request.fileName) {
      case .job(let job): spec = job
      case .group(let members):
        guard request.testOnly else { return try await GroupRoutes.submit(members, request, call) }
        var answer = try await tested(members.members[0].spec, request, call)
        answer.text.insert(GroupRoutes.count(members), at: 0)
        return try .json(answer)
      }
      if request.testOnly { return try await .json(tested(spec, request, call)) }
      if let code = request.provenance.code { try await CodeRoutes.check(code, call) }
      let submission = JobSubmission(
        project: call.principal.project, user: call.principal.user, spec: spec, specText: request.file,
        key: request.submissionKey, provenance: Provenance(request.provenance),
        startCheckpoint: try await startCheckpoint(request.startFrom, call))
      let (record, isNew) = try await call.services.store.submit(submission, by: call.principal.actor)
      // Why it waits is asked for by whoever wants to know: planning for every one of many submissions is not free.
      return try await .json(
        JobAnswer(job: JobView.build([record], call.services).first, explanation: nil, text: [], existed: !isNew),
        status: isNew ? .created : .ok)
    },
    Route(method: .get, path: "/jobs/{job}", access: .viewer, summary: "One job", gives: JobView.self) { call in
      try await .json(JobView.build(find(call).id, call.services))
    },
    Route(
      method: .get, path: "/jobs/{job}/explain", access: .viewer, summary: "Why a job waits, lease by lease",
      gives: JobAnswer.self
    ) { call in
      let job = try await find(call)
      let explanation = try await explain(job.id, call)
      let view = try await JobView.build(job.id, call.services)
      let text =
        explanation?.sentences ?? ["\(job.id) is \(job.state.rawValue)\(view.reasonDetail.map { ": \($0)" } ?? "")"]
      return try .json(JobAnswer(job: view, explanation: explanation, text: text))
    },
    Route(
      method: .delete, path: "/jobs/{job}", access: .user, summary: "End a job; it may save first unless `now` is true",
      takes: CancelRequest.self, gives: JobView.self
    ) { call in
      let job = try await find(call)
      let now = try await call.optionalBody(CancelRequest.self)?.now ?? false
      switch try await call.services.store.cancelJob(job.id, by: call.principal.actor) {
      case .cancelled: break
      case .requested: if now { try await call.services.store.askForKill(of: job.id) }
      case .over(let state): throw APIFailure(.wrongState, "\(job.id) is over already: \(state.rawValue)")
      }
      return try await .json(JobView.build(job.id, call.services))
    },
    Route(
      method: .post, path: "/jobs/{job}/checkpoint", access: .user, summary: "Ask a running job to save now",
      gives: JobView.self
    ) { call in
      let job = try await find(call)
      guard job.state == .running else {
        throw APIFailure(.wrongState, "\(job.id) is \(job.state.rawValue): only a RUNNING job can be asked to save")
      }
      guard job.spec.checkpoint.canBeAsked else {
        throw APIFailure(
          .wrongState,
          "\(job.id) saves by itself (checkpoint.path) and cannot be asked to: name the signal that makes its program save "
            + "with checkpoint.signal, or wait for its next save")
      }
      try await call.services.store.askForCheckpoint(of: job.id)
      return try await .json(JobView.build(job.id, call.services))
    },
    Route(
      method: .post, path: "/jobs/{job}/hold", access: .user, summary: "Keep a waiting job out of scheduling",
      gives: JobView.self
    ) { call in
      let job = try await find(call)
      guard !(try await call.services.store.holdJob(job.id, by: call.principal.actor)).isStale else {
        throw APIFailure(.wrongState, "\(job.id) is \(job.state.rawValue): only a waiting job can be held")
      }
      return try await .json(JobView.build(job.id, call.services))
    },
    Route(
      method: .post, path: "/jobs/{job}/release", access: .user, summary: "Let a held job be scheduled again",
      gives: JobView.self
    ) { call in
      let job = try await find(call)
      guard !(try await call.services.store.releaseJob(job.id, by: call.principal.actor)).isStale else {
        throw APIFailure(.wrongState, "\(job.id) is \(job.state.rawValue), not HELD")
      }
      return try await .json(JobView.build(job.id, call.services))
    },
  ]

  /// The jobs of `filter` that the caller may see, newest first: `limit` of them, at most and unless told otherwise `most`,
  /// that come before the one that `before` names.
  static func page(_ filter: JobFilter, _ call: Call, of most: Int) async throws -> Listing<JobView> {
    let limit = try call.number("limit", within: 1...most, standard: most)
    let before = try call.number("before", within: 0...Int.max, standard: 0)
    var filter = filter
    filter.project = call.projectFilter
    if before > 0 { filter.before = JobID(Int64(before)) }
    let jobs = try await JobView.build(call.services.store.jobs(filter, limit: limit + 1), call.services)
    return try await Listing(now: call.services.store.now(), upTo: limit, of: jobs) { $0.id.rawValue }
  }

  /// The job that the path names: `17` or `job-17`.
  static func find(_ call: Call) async throws -> JobRecord {
    let text = try call.parameter("job")
    guard let id = JobID(text: text) ?? RunID(text: text)?.job else {
      throw APIFailure(.notFound, "'\(text)' names no job: write its number, as in 17 or job-17")
    }
    let job = try await call.services.store.job(id)
    guard call.principal.role == .admin || job.project == call.principal.project else {
      throw StoreError.notFound(kind: "job", name: text)
    }
    return job
  }

  /// The checkpoint that `text` means, `42`, `checkpoint-42`, `run-17` or `17@300`; of a run its newest DURABLE one.
  static func startCheckpoint(_ text: String?, _ call: Call) async throws -> CheckpointID? {
    guard let text else { return nil }
    let parts = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    let isRun = parts.count == 2 || text.hasPrefix("run-") || text.hasPrefix("job-")
    guard isRun else {
      guard let id = CheckpointID(text: text) else {
        throw APIFailure(
          .badRequest,
          "'\(text)' names no checkpoint: write its number, as in 42, or its run and step, as in run-17@300")
      }
      return id
    }
    guard let run = RunID(text: parts[0]) ?? JobID(text: parts[0])?.run else {
      throw APIFailure(.badRequest, "'\(parts[0])' names no run: write its number, as in run-17 or 17@300")
    }
    let job = try await call.services.store.job(run.job)
    guard call.principal.role == .admin || job.project == call.principal.project else {
      throw StoreError.notFound(kind: "run", name: parts[0])
    }
    let wanted = parts.count == 2 ? Int64(parts[1]) : nil
    if parts.count == 2, wanted == nil {
      throw APIFailure(.badRequest, "'\(parts[1])' is no step: write a whole number, as in \(parts[0])@300")
    }
    let found = try await call.services.store.checkpoints(of: run.job).first {
      $0.state == .durable && (wanted == nil || $0.step == wanted)
    }
    guard let found else {
      throw APIFailure(
        .notFound,
        "\(run) has no DURABLE checkpoint\(wanted.map { " of step \($0)" } ?? ""): see `baton checkpoint list \(run)`")
    }
    return found.id
  }

  private static func explain(_ job: JobID, _ call: Call) async throws -> Explanation? {
    let (snapshot, takenAt) = try await call.services.store.snapshot()
    return Scheduling.explain(job, in: snapshot, at: takenAt)
  }

  /// What would become of a job that is not submitted.
  private static func tested(_ spec: JobSpec, _ request: SubmitRequest, _ call: Call) async throws -> JobAnswer {
    var (snapshot, takenAt) = try await call.services.store.snapshot()
    var data: [DatasetVersionID: ByteCount] = [:]
    for wanted in spec.data {
      let found = try await call.services.store.resolveDataset(
        wanted.name, version: wanted.version, project: call.principal.project)
      guard let found else { throw StoreError.unknownDataset(name: wanted.name, version: wanted.version) }
      data[found.id] = found.size
    }
    var needs = call.services.store.assumed
    needs.data = data
    let id = JobID(Int64.max)
    snapshot.waiting.append(
      WaitingJob(
        id: id, project: call.principal.project, submittedAt: takenAt, spec: spec, needs: needs))
    let explanation = Scheduling.explain(id, in: snapshot, at: takenAt)
    return JobAnswer(job: nil, explanation: explanation, text: explanation?.sentences ?? [])
  }
}

extension Provenance {
  /// What the client knew.
  init(_ source: SourceProvenance) {
    self.init(
      gitCommit: source.gitCommit, gitDiff: source.gitDiff, isDirty: source.gitDirty ?? false,
      workdir: source.directory, software: source.gitBranch.map { ["git branch": $0] } ?? [:], hostname: source.host,
      code: source.code)
  }
}

extension SourceProvenance {
  /// What was kept of what the client knew.
  init(_ kept: Provenance) {
    self.init(
      directory: kept.workdir, host: kept.hostname, gitCommit: kept.gitCommit, gitBranch: kept.software["git branch"],
      gitDiff: kept.gitDiff, gitDirty: kept.gitCommit == nil ? nil : kept.isDirty, code: kept.code)
  }
}

extension Explanation {
  /// The explanation as sentences.
  var sentences: [String] {
    var lines = [refusal.map { "\($0.reason): \($0)" } ?? "it starts now"]
    for verdict in leases {
      lines.append("\(verdict.lease) '\(verdict.name)': \(verdict.refusal.map { "\($0)" } ?? "it fits")")
    }
    if !needed.isEmpty {
      let parts = needed.map { "\($0.name) \($0.length)" }.joined(separator: ", ")
      lines.append("it needs a lease to last for: \(parts)")
    }
    return lines
  }
}
