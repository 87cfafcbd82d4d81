import Domain
import SSH
import Store
import Wire

extension LeaseView {
  /// Leases as they are shown.
  static func build(_ records: [LeaseRecord], _ services: Services) async throws -> [LeaseView] {
    guard !records.isEmpty else { return [] }
    let names = try await services.store.nodeNames()
    let projects = try await services.store.projectNames()
    let attempts = try await services.store.liveAttempts()
    return records.map { record in
      LeaseView(
        id: record.id, name: record.name, project: projects[record.project] ?? "\(record.project)",
        state: record.state, degraded: record.isDegraded, start: record.period.start, end: record.period.end,
        nodes: record.nodes.map { NodeRef(id: $0, name: names[$0] ?? "\($0)") },
        jobs: attempts.filter { $0.lease == record.id }.map(\.job),
        stagingAhead: record.state == .active ? services.ahead.on(record.nodes) : nil)
    }
  }
}

extension NodeView {
  /// Nodes as they are shown to `project`, which does not see who else holds them; nil sees all.
  static func build(
    _ records: [NodeRecord], for project: ProjectID?, _ services: Services
  ) async throws -> [NodeView] {
    guard !records.isEmpty else { return [] }
    let leases = try await services.store.leases().filter { $0.state == .active || $0.state == .ending }
    let attempts = try await services.store.liveAttempts()
    return records.map { record in
      let isKnown = record.lastSeenAt != nil
      let request = record.request
      let attempt = attempts.first { $0.nodes.contains { $0.node == record.id } }
      let lease = leases.first { $0.id == attempt?.lease } ?? leases.first { $0.nodes.contains(record.id) }
      let isForeign = project != nil && lease != nil && lease?.project != project
      return NodeView(
        id: record.id, name: request.name, address: request.address, port: request.port, user: request.sshUser,
        hostKeyFingerprint: HostKey(request.hostKey)?.fingerprint ?? "unreadable", nodeType: request.nodeType,
        state: record.state, detail: record.drainReason, drained: record.isDrained,
        gpus: record.facts.gpus.map {
          GPU(index: $0.index, model: $0.model, memory: $0.memory, isStandIn: $0.isStandIn)
        }, cores: isKnown ? record.facts.cores : nil, memory: isKnown ? record.facts.memory : nil,
        diskTotal: isKnown ? record.facts.diskTotal : nil, diskFree: isKnown ? record.facts.diskFree : nil,
        lastSeen: record.lastSeenAt, lease: isForeign ? nil : lease?.id, job: isForeign ? nil : attempt?.job,
        heldByOthers: isForeign, software: record.facts.other,
        stagingAhead: isForeign ? nil : services.ahead.on(record.id))
    }
  }
}

extension AttemptView {
  /// Attempts as they are shown.
  static func build(_ records: [AttemptRecord], _ services: Services) async throws -> [AttemptView] {
    guard !records.isEmpty else { return [] }
    let names = try await services.store.nodeNames()
    var leases: [LeaseID: LeaseRecord] = [:]
    for id in Set(records.map(\.lease)) { leases[id] = try await services.store.lease(id) }
    return records.map { record in
      let end = leases[record.lease]?.period.end ?? record.createdAt
      let plan = record.state == .running ? services.progress.lastSave(of: record.id) : nil
      return AttemptView(
        id: record.id, number: record.number, lease: record.lease, leaseName: leases[record.lease]?.name ?? "",
        leaseEnd: end, state: record.state, outcome: record.outcome,
        detail: record.reasonDetail, nodes: record.nodes.map { NodeRef(id: $0.node, name: names[$0.node] ?? "") },
        createdAt: record.createdAt, runningAt: record.runningAt, endedAt: record.endedAt,
        resumedFromStep: record.resumeStep.map { Int($0) },
        lastSave: plan.map { plan in
          LastSaveForecast(at: end - plan.lead, doneBy: plan.doneBefore.map { end - $0 })
        },
        checkpointTrouble: record.state == .ended ? nil : services.progress.checkpointTrouble(of: record.id),
        resumedFromRun: record.resumeRun == record.job.run ? nil : record.resumeRun)
    }
  }
}

extension JobView {
  /// Jobs as they are shown.
  static func build(_ records: [JobRecord], _ services: Services) async throws -> [JobView] {
    guard !records.isEmpty else { return [] }
    let places = try await services.store.places(of: records.map(\.id))
    var attempts: [AttemptID: AttemptView] = [:]
    let last = try await services.store.attempts(places.values.compactMap(\.lastAttempt))
    for view in try await AttemptView.build(last, services) { attempts[view.id] = view }
    let live = Dictionary(last.filter { $0.state != .ended }.map { ($0.job, $0) }) { first, _ in first }
    return records.map { record in
      let place = places[record.id]
      var view = JobView(
        id: record.id, name: record.spec.name, project: record.projectName, user: record.userName,
        state: record.state, reason: record.reason ?? "", reasonDetail: record.reasonDetail,
        priority: record.spec.priority, nodes: record.spec.resources.nodes, submittedAt: record.submittedAt,
        startedAt: record.startedAt, endedAt: record.endedAt, exitCode: record.exitCode,
        attempt: place?.lastAttempt.flatMap { attempts[$0] }, checkpointStep: record.latestStep.map { Int($0) },
        checkpointAt: place?.checkpointAt, lastStep: place?.lastStep.map { Int($0) },
        staging: services.progress.staging(of: record.id),
        loss: place.flatMap { place in live[record.id].flatMap { Loss(record, $0, place) } },
        member: record.place.map { GroupMemberView(group: $0.group, index: $0.index, values: $0.values) },
        nodesMost: record.spec.resources.isElastic ? record.spec.resources.nodesRange.upperBound : nil)
      view.savesByItself = record.spec.checkpoint.canBeAsked ? nil : true
      return view
    }
  }

  /// One job as it is shown.
  static func build(_ id: JobID, _ services: Services) async throws -> JobView {
    guard var view = try await build([services.store.job(id)], services).first else {
      throw StoreError.notFound(kind: "job", name: "\(id)")
    }
    view.handoff = Handoff.all(of: try await services.store.moments(of: id)).last
    return view
  }
}

extension Loss {
  /// What would be computed again if the lease of `attempt` ended now; nil where its ranks do not run.
  init?(_ job: JobRecord, _ attempt: AttemptRecord, _ place: JobPlace) {
    guard attempt.state == .running || attempt.state == .checkpointing, let since = attempt.runningAt else {
      return nil
    }
    self.init(
      lastStep: place.lastStep.map { Int($0) }, durableStep: job.latestStep.map { Int($0) },
      savedAt: place.checkpointSavedAt, runningSince: since, gpus: attempt.nodes.reduce(0) { $0 + $1.gpus.count },
      at: place.now)
  }
}

extension CheckpointView {
  /// Checkpoints as they are shown, by step.
  static func build(
    _ records: [CheckpointRecord], latest: CheckpointID?, _ services: Services
  ) async throws -> [CheckpointView] {
    let pins = try await services.store.pins(of: records.map(\.id))
    let absent = records.filter { $0.state == .local || $0.state == .uploading }
    let rejections = try await services.store.rejections(of: absent.map(\.id))
    return records.sorted { ($0.step, $0.id) < ($1.step, $1.id) }.map { record in
      CheckpointView(
        id: record.id, job: record.job, attemptNumber: record.attemptNumber, step: Int(record.step),
        state: record.state, bytes: record.size, prefix: record.objectPrefix ?? "", createdAt: record.createdAt,
        durableAt: record.durableAt, isFinal: record.isFinal, isLatest: record.id == latest,
        verifiedAt: record.verifiedAt,
        pins: (pins[record.id] ?? []).map(PinView.init), rejection: rejections[record.id])
    }
  }

  /// One checkpoint as it is shown.
  static func build(_ id: CheckpointID, _ services: Services) async throws -> CheckpointView {
    let record = try await services.store.checkpoint(id)
    let latest = try await services.store.job(record.job).latestCheckpoint
    guard let view = try await build([record], latest: latest, services).first else {
      throw StoreError.notFound(kind: "checkpoint", name: "\(id)")
    }
    return view
  }
}

extension EventView {
  /// A line of the audit log as it is shown.
  init(_ record: EventRecord) {
    let detail = record.detail.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
    self.init(
      id: record.id, at: record.at, actor: record.actor, action: record.action,
      subject: "\(record.subject.kind)-\(record.subject.id)", detail: detail)
  }
}
