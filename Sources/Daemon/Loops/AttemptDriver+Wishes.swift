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
    if !lease.state.isFinal { deadlines.says(lease.period.end) }
    if let asked = attempt.checkpointAskedAt { saves.says(asked) }
    noteLead()
    rounds.beginAnew()
    tell()
    try await noteSaveTold()
    return nil
  }

  /// Has every node told what it does not know yet; nobody waits for that.
  ///
  /// A node that cannot be told now is told at the next look, or knows by its own clock.
  mutating func tell() {
    for rank in targets.indices { tellNext(rank) }
  }

  private mutating func tellNext(_ rank: Int) {
    guard let telling = rounds.next(for: rank, notKnown: notKnown(to: rank)) else { return }
    guard let words = words(about: telling.subject, to: rank) else { return rounds.ended(rank) }
    tellers[rank].tell(telling, words)
  }

  /// What the node of `rank` has to be told and was not, the most urgent first.
  private func notKnown(to rank: Int) -> [Telling] {
    guard !gang.isOver(nodeRank: rank) else { return [] }
    var found: [Telling] = []
    func add(_ subject: Telling.Subject, _ edition: Int, _ untold: [Int]) {
      if !untold.isEmpty { found.append(Telling(subject: subject, edition: edition)) }
    }
    add(.stop, stops.edition, stops.untold(of: [rank]))
    // Where the others serve what they stage is of no use once all is staged.
    if attempt.state == .staging, gang.staging != nil { add(.peers, peers.edition, peers.untold(of: [rank])) }
    // An attempt that is to end starts no rank, and saves by itself.
    if stops.wanted == nil {
      if attempt.state == .launching { add(.launch, launches.edition, launches.untold(of: [rank])) }
      if attempt.state == .launching, let daemon = mpiDaemons[rank] {
        add(.mpiDaemon, daemon.edition, daemon.untold(of: [rank]))
      }
      if attempt.state == .running, attempt.checkpointAskedAt != nil {
        add(.save, saves.edition, saves.untold(of: [rank]))
      }
      if heard.contains(rank) { add(.lead, leads.edition, leads.untold(of: [rank])) }
    }
    if heard.contains(rank) { add(.deadline, deadlines.edition, deadlines.untold(of: [rank])) }
    return found
  }

  /// What is said about `subject` now to the node of `rank`; nil for nothing.
  private func words(about subject: Telling.Subject, to rank: Int) -> NodeTeller.Words? {
    switch subject {
    case .stop: stops.wanted.map { .command($0) }
    case .peers: peers.text.map { .command(.peers(ports: $0)) }
    case .launch: launches.text.map { .command($0.command) }
    case .mpiDaemon: mpiDaemons[rank]?.text.map { .command(.mpiDaemon(command: $0)) }
    case .save: .command(.checkpoint)
    case .lead: leads.text.map { .command(.lastSave(lead: $0)) }
    case .deadline: deadlines.text.map { .leaseEnds($0) }
    }
  }

  /// Notes that a node was told, and has it told the next thing.
  mutating func wasTold(_ rank: Int, _ telling: Telling, took: Duration?) async throws {
    rounds.ended(rank)
    if let took {
      switch telling.subject {
      case .stop: stops.wasTold(rank, edition: telling.edition)
      case .peers: peers.wasTold(rank, edition: telling.edition)
      case .launch: launches.wasTold(rank, edition: telling.edition)
      case .mpiDaemon: mpiDaemons[rank]?.wasTold(rank, edition: telling.edition)
      case .save: saves.wasTold(rank, edition: telling.edition)
      case .lead: leads.wasTold(rank, edition: telling.edition)
      case .deadline:
        // A node counts down from when it hears how long is left: it would come late by as long as that took.
        if took <= Self.quickly { deadlines.wasTold(rank, edition: telling.edition) }
      }
    }
    tellNext(rank)
    try await noteSaveTold()
  }

  /// Notes that a wish for a checkpoint got through to all nodes.
  private func noteSaveTold() async throws {
    guard attempt.state == .running, stops.wanted == nil, attempt.checkpointAskedAt != nil, let asked = saves.text,
      saves.untold(of: targets.indices.filter { !gang.isOver(nodeRank: $0) }).isEmpty
    else { return }
    _ = try await services.store.markCheckpointTold(attempt.id, asked: asked, by: epoch)
  }

  /// Nodes are to know how long the last save takes by what others measured; those that store no checkpoint learn
  /// nothing themselves.
  ///
  /// News where it has changed by a tenth.
  private mutating func noteLead() {
    guard lastSave.hasMeasured else { return }
    let lead = lastSave.lead
    if leads.text.map({ abs((lead - $0).seconds) > $0.seconds / 10 }) ?? true { leads.says(lead) }
  }

  /// A node is of no use while nothing runs: the others are freed, and the job goes elsewhere.
  func giveUp(on rank: Int, _ why: String) async throws -> GangOutcome? {
    await withTaskGroup(of: Void.self) { group in
      for other in targets.indices where other != rank {
        group.addTask {
          do {
            let request = ControlRequest(controllerEpoch: epoch.rawValue, command: .kill(.gangFailed))
            try await services.agents.control(attempt.id, request, on: targets[other])
          } catch {
            services.logger.info("telling \(targets[other].name): \(error)")
          }
        }
      }
    }
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
    if case .environment(let found) = entry.event {
      _ = try await services.store.recordEnvironment(attempt.id, node: targets[rank].id, found, by: epoch)
    }
    try await noteTrouble(entry.event, from: rank)
    if case .staged(_, _, let took, let brought, _) = entry.event {
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
    var agentState = entry.event.name
    if case .ended(let outcome) = entry.event, case .diskTooSmall(_, let room)? = outcome.staging {
      // Else the job would be sent to the same full disk again: before the next probe sees it, or for what the planner
      // takes for evictable, and the agent does not.
      agentState = AttemptNodeRecord.noRoom
      _ = try await services.store.setDiskFree(targets[rank].id, room, by: epoch)
    }
    if case .evicted(let replica, _) = entry.event {
      _ = try await services.store.removeReplicas(node: targets[rank].id, contentID: replica, by: epoch)
    }
    let contact = try await services.store.recordContact(
      attempt.id, node: targets[rank].id, agentState: agentState, journalSequence: entry.sequence, by: epoch)
    // What a journal tells again to a driver that begins anew is no news.
    if contact.isStale { return }
    if case .artifactsMissing(let reason) = entry.event {
      services.logger.warning("\(attempt.id) of \(attempt.job): node \(targets[rank].name): \(reason)")
      _ = try await services.store.recordMissingArtifacts(
        of: attempt.job, attempt: attempt.number, node: targets[rank].name, reason, by: epoch)
    }
    guard case .peerDistrusted(let peer, let address, let reason) = entry.event else { return }
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
      points: lines.compactMap(MetricLine.parse), loaded: lines.compactMap(StateLine.parse))
    if case .stale = try await services.store.ingest(batch, by: epoch) {
      services.logger.info("\(attempt.id): metrics of node rank \(rank) up to \(end) were taken in before")
    }
    offsets[rank] = end
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
    case .environment: "environment"
    case .stopping: "stopping"
    case .rankEnded: "rankEnded"
    case .mpiDaemonWanted: "mpiDaemonWanted"
    case .artifactsMissing: "artifactsMissing"
    case .helperEnded: "helperEnded"
    case .ended: "ended"
    case .unknown(let name): name
    }
  }
}
