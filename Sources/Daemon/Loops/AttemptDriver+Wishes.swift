import Domain
import Foundation
import Launching
import Logging
import Store
import Wire

extension AttemptDriver {
  /// A node that took what it was told in this time knows the lease's end as exactly as it has to.
  private static let quickly = Duration.seconds(2)

  /// Looks at the database: is it over, is its end wanted, has its lease's end moved, is its time up.
  mutating func look() async throws -> GangOutcome? {
    attempt = try await services.store.attempt(attempt.id)
    guard attempt.state != .ended else { return nil }
    let job = try await services.store.job(attempt.job)
    if attempt.killAskedAt != nil { stops.wants(.kill(.cancelled)) }
    if job.cancelRequestedAt != nil { stops.wants(.stop(.cancelled)) }
    if attempt.leaveAskedAt != nil { stops.wants(.stop(.leaseEnd)) }
    if let limit = job.spec.time.limit, job.ran >= limit { stops.wants(.stop(.timeLimit)) }
    let lease = try await services.store.lease(attempt.lease)
    if !lease.state.isFinal {
      deadlines.says(lease.period.end)
      await tellDeadline()
    }
    await tellPeers()
    await tellLaunch()
    try await tellSave()
    await tellLead()
    await tellStop()
    return nil
  }

  /// Tells nodes when the lease ends, until one telling was so quick that it is exact.
  ///
  /// A node counts down from when it hears how long is left: it would come late by as long as that took.
  private mutating func tellDeadline() async {
    guard let end = deadlines.text else { return }
    let (services, job) = (services, attempt.job)
    let ranks = deadlines.untold(of: heard.sorted().filter { !gang.isOver(nodeRank: $0) })
    let told = await tell(nodeRanks: ranks) {
      let access = try await services.storeAccess(of: job, until: end)
      return .deadline(leaseRemaining: end - (try await services.store.now()), leaseEnd: end, store: access)
    }
    deadlines.wereTold(told.filter { $0.took <= Self.quickly }.map(\.rank))
  }

  /// Tells nodes where the others serve what they stage; of no use once all is staged.
  mutating func tellPeers() async {
    guard attempt.state == .staging, gang.staging != nil, let ports = peers.text else { return }
    let ranks = peers.untold(of: targets.indices.filter { !gang.isOver(nodeRank: $0) })
    peers.wereTold(await tell(.peers(ports: ports), nodeRanks: ranks))
  }

  /// Tells nodes to start their ranks; none once the attempt is to end.
  mutating func tellLaunch() async {
    guard attempt.state == .launching, stops.wanted == nil, let port = launches.text else { return }
    let ranks = launches.untold(of: targets.indices.filter { !gang.isOver(nodeRank: $0) })
    launches.wereTold(await tell(.launch(masterPort: port), nodeRanks: ranks))
  }

  /// Tells nodes to save, where somebody asked for it; none once the attempt is to end, which saves by itself.
  private mutating func tellSave() async throws {
    guard attempt.state == .running, stops.wanted == nil, let asked = attempt.checkpointAskedAt else { return }
    saves.says(asked)
    let ranks = targets.indices.filter { !gang.isOver(nodeRank: $0) }
    saves.wereTold(await tell(.checkpoint, nodeRanks: saves.untold(of: ranks)))
    guard saves.untold(of: ranks).isEmpty else { return }
    _ = try await services.store.markCheckpointTold(attempt.id, asked: asked, by: epoch)
  }

  /// Tells nodes how long the last save takes by what others measured.
  ///
  /// Those that store no checkpoint learn nothing themselves. Told again where it has changed by a tenth.
  mutating func tellLead() async {
    guard lastSave.hasMeasured, stops.wanted == nil else { return }
    let lead = lastSave.lead
    if leads.text.map({ abs((lead - $0).seconds) > $0.seconds / 10 }) ?? true { leads.says(lead) }
    let wanted = leads.text ?? lead
    let ranks = leads.untold(of: heard.sorted().filter { !gang.isOver(nodeRank: $0) })
    leads.wereTold(await tell(.lastSave(lead: wanted), nodeRanks: ranks))
  }

  /// Tells nodes to stop, where that is wanted.
  mutating func tellStop() async {
    guard let wanted = stops.wanted else { return }
    let ranks = stops.untold(of: targets.indices.filter { !gang.isOver(nodeRank: $0) })
    stops.wereTold(await tell(wanted, nodeRanks: ranks))
  }

  /// Asks something of the supervisors of `nodeRanks`, all at once; returns those that took it.
  ///
  /// A node that cannot be told now is told at the next look, or knows by its own clock.
  @discardableResult
  func tell(_ command: ControlCommand, nodeRanks: [Int]) async -> [Int] {
    await tell(nodeRanks: nodeRanks) { command }.map(\.rank)
  }

  /// The same for a command that depends on the moment; returns also how long it took, from before `command` was asked for.
  private func tell(
    nodeRanks: [Int], _ command: @escaping @Sendable () async throws -> ControlCommand
  ) async -> [(rank: Int, took: Duration)] {
    await withTaskGroup(of: (rank: Int, took: Duration)?.self) { group in
      for rank in nodeRanks {
        group.addTask {
          let began = ContinuousClock().now
          do {
            let request = ControlRequest(controllerEpoch: epoch.rawValue, command: try await command())
            try await services.agents.control(attempt.id, request, on: targets[rank])
            return (rank, ContinuousClock().now - began)
          } catch {
            services.logger.info("telling \(targets[rank].name): \(error)")
            return nil
          }
        }
      }
      var told: [(rank: Int, took: Duration)] = []
      for await one in group { if let one { told.append(one) } }
      return told
    }
  }

  /// A node is of no use while nothing runs: the others are freed, and the job goes elsewhere.
  func giveUp(on rank: Int, _ why: String) async throws -> GangOutcome? {
    await tell(.kill(.gangFailed), nodeRanks: targets.indices.filter { $0 != rank })
    _ = try await services.store.setNodeState(targets[rank].id, to: .suspect, by: epoch)
    return GangOutcome(
      outcome: .stagingFailed, exitCode: nil, detail: why)
  }

  /// Notes how far a node is.
  func note(_ entry: JournalEntry, from rank: Int) async throws {
    if case .staging = entry.event {
      let now = gang.staging.map { JobView.StagingProgress(done: $0.done, total: $0.total) }
      if services.progress.note(now, for: attempt.job) { services.hub.publish(.job(attempt.job)) }
      return
    }
    if case .restored(_, _, let took) = entry.event {
      _ = try await services.store.recordRestore(attempt.id, node: targets[rank].id, took: took, by: epoch)
    }
    if case .lastSavePlanned(let lead, let doneBefore) = entry.event {
      services.progress.note(.init(lead: lead, doneBefore: doneBefore), for: attempt.id, rank: rank)
      services.hub.publish(.job(attempt.job))
    }
    try await noteTrouble(entry.event, from: rank)
    if case .staged(_, _, let took, let brought) = entry.event {
      _ = try await services.store.recordStaging(
        node: targets[rank].id, attempt: attempt.id, brought: brought, took: took, by: epoch)
      for dataset in brief.datasets where dataset.mode == .copy {
        _ = try await services.store.setReplica(
          node: targets[rank].id, version: dataset.id, state: .verified, by: epoch)
      }
      if gang.staging == nil {
        _ = services.progress.note(nil, for: attempt.job)
        stagingIsOver()
      }
    }
    if case .ended(let outcome) = entry.event, case .diskTooSmall(_, let room)? = outcome.staging {
      // Else the job would be sent to the same full disk again before the next probe sees it.
      _ = try await services.store.setDiskFree(targets[rank].id, room, by: epoch)
    }
    if case .evicted(let replica, _) = entry.event {
      _ = try await services.store.removeReplicas(node: targets[rank].id, contentID: replica, by: epoch)
    }
    let contact = try await services.store.recordContact(
      attempt.id, node: targets[rank].id, agentState: entry.event.name, journalSequence: entry.sequence, by: epoch)
    // What a journal tells again to a driver that begins anew is no news.
    guard case .peerDistrusted(let peer, let address, let reason) = entry.event, !contact.isStale else { return }
    let liar = targets.indices.contains(peer) ? targets[peer].name : try await name(ofHolderAt: address)
    let trouble = "node \(targets[rank].name) takes no data from node \(liar) any more: \(reason)"
    services.logger.warning("\(attempt.id) of \(attempt.job): \(trouble)")
    _ = try await services.store.recordTrouble(
      of: attempt.job, "\(trouble); `baton data verify` reads its copies back", by: epoch)
  }

  /// The node of the attempt's lease with this address, which was named to its nodes by it.
  private func name(ofHolderAt address: String) async throws -> String {
    for id in try await services.store.lease(attempt.lease).nodes {
      let node = try await services.store.node(id)
      if node.request.address == address { return node.request.name }
    }
    return address
  }

  /// Notes what a node says about the newest checkpoint: for those who look now, and for those who look later.
  private func noteTrouble(_ event: AgentEvent, from rank: Int) async throws {
    let before = services.progress.checkpointTrouble(of: attempt.id)
    switch event {
    case .checkpointDelayed(let step, let reason):
      try await note(CheckpointTrouble(step: step, isRejected: false, reason: reason), from: rank)
    case .checkpointRejected(let step, let reason):
      try await note(CheckpointTrouble(step: step, isRejected: true, reason: reason), from: rank)
    case .checkpointStored(let checkpoint):
      services.progress.stored(step: checkpoint.step, of: attempt.id)
    default: return
    }
    if services.progress.checkpointTrouble(of: attempt.id) != before { services.hub.publish(.job(attempt.job)) }
  }

  private func note(_ trouble: CheckpointTrouble, from rank: Int) async throws {
    services.progress.note(trouble, for: attempt.id, rank: rank)
    _ = try await services.store.recordTrouble(
      with: Int64(trouble.step), in: attempt.id, isRejected: trouble.isRejected, trouble.reason, by: epoch)
  }

  /// Takes a stretch of a node's metrics into the run's series.
  mutating func ingest(_ lines: [String], upTo end: Int64, from rank: Int) async throws {
    let start = offsets[rank]
    guard end > start else { return }
    let batch = MetricBatch(
      attempt: attempt.id, node: targets[rank].id, fromOffset: start, toOffset: end,
      points: lines.compactMap(MetricLine.parse))
    if case .stale = try await services.store.ingest(batch, by: epoch) {
      services.logger.info("\(attempt.id): metrics of node rank \(rank) up to \(end) were taken in before")
    }
    offsets[rank] = end
  }
}

/// One line of `BATON_METRICS`.
enum MetricLine {
  private struct Line: Decodable {
    var step: Int64
    var metric: String
    var value: Double
    var time: Double?
  }

  /// A metric's name has at most so many bytes.
  static let nameLimit = 200
  /// The years 1970 to 9999: any other time is none.
  private static let times = 0.0..<253_402_300_800

  /// A point; nil for a line that is not one, since a program's slip must not stop its run.
  ///
  /// Nothing passes that the database would refuse: the line would come again and again, and the run never end.
  static func parse(_ text: String) -> MetricPoint? {
    guard let line = try? JSONDecoder().decode(Line.self, from: Data(text.utf8)), line.step >= 0, line.value.isFinite,
      (1...nameLimit).contains(line.metric.utf8.count), line.metric.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F })
    else { return nil }
    let time = line.time.flatMap { times.contains($0) ? $0 : nil }
    return MetricPoint(
      metric: line.metric, step: line.step, value: line.value, recordedAt: Timestamp(secondsSinceEpoch: time ?? 0))
  }
}

extension AgentEvent {
  /// One word for the node's row.
  var name: String {
    switch self {
    case .accepted: "accepted"
    case .staging: "staging"
    case .serving: "serving"
    case .peerDistrusted: "peerDistrusted"
    case .evicted: "evicted"
    case .restored: "restored"
    case .staged: "staged"
    case .stagingFailed: "stagingFailed"
    case .launched: "launched"
    case .firstLine: "firstLine"
    case .checkpointAsked: "checkpointAsked"
    case .checkpointLocal: "checkpointLocal"
    case .checkpointStored: "checkpointStored"
    case .checkpointDelayed: "checkpointDelayed"
    case .checkpointRejected: "checkpointRejected"
    case .lastSavePlanned: "lastSavePlanned"
    case .stopping: "stopping"
    case .rankEnded: "rankEnded"
    case .ended: "ended"
    case .unknown(let name): name
    }
  }
}
