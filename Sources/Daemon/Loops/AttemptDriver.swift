import AsyncAlgorithms
import Domain
import Launching
import Logging
import ObjectStorage
import Store
import Wire

/// Carries one attempt from its nodes being told to its last word.
///
/// All that happens comes in through one channel and is taken one by one: what the nodes' journals say, and what people
/// and clocks want. Journals are read from their beginning, so a driver that begins anew, in this process or another,
/// comes to the same state; every write it makes can be made twice.
struct AttemptDriver {
  /// How often the database is looked at again, should a wake-up call be lost.
  private static let lookEvery = Duration.seconds(5)

  let services: Services
  let epoch: ControllerEpoch
  let brief: AttemptBrief
  let targets: [NodeTarget]
  var attempt: AttemptRecord
  var gang: GangState
  /// Nodes whose supervisor has spoken.
  var heard: Set<Int> = []
  /// The lease's end: by the order a node knows it only as exactly as the order was quick, and perhaps from before the
  /// lease was extended.
  var deadlines = Notice<Timestamp>()
  /// On which ports the ranks find each other, once they are to start.
  var launches = Notice<LaunchNotice>()
  /// How nodes start the daemon that `mpirun` wants there, by the ranks of the nodes.
  var mpiDaemons: [Int: Notice<[String]>] = [:]
  /// Where the nodes serve each other what they stage.
  var peers = Notice<[Int?]>()
  var stops = StopLedger()
  /// When somebody asked for a checkpoint.
  var saves = Notice<Timestamp>()
  /// What the last save takes by what the nodes measured, and how long before the lease's end that makes it begin.
  var lastSave: LastSave
  var leads = Notice<TimeSpan>()
  var offsets: [Int64]
  /// Ends what other nodes hand out to those of the attempt.
  let stagingIsOver: Lending.Over
  /// One for each node, and who of them is told what.
  let tellers: [NodeTeller]
  var rounds = TellingRounds()

  /// Drives until the attempt is over.
  ///
  /// Throws what the database or a node's answer does not allow to go on with.
  static func drive(_ attempt: AttemptRecord, _ services: Services, _ epoch: ControllerEpoch) async throws {
    let briefing = try await Briefing(of: attempt, services, epoch)
    guard attempt.state == .staging else {
      return try await drive(attempt, briefing.brief, briefing.targets, services, epoch) {}
    }
    try await Lending(services: services, epoch: epoch).during(briefing.wish) { holders, over in
      var brief = briefing.brief
      brief.holders = holders
      try await drive(attempt, brief, briefing.targets, services, epoch, stagingIsOver: over)
    }
  }

  private static func drive(
    _ attempt: AttemptRecord, _ brief: AttemptBrief, _ targets: [NodeTarget], _ services: Services,
    _ epoch: ControllerEpoch, stagingIsOver: @escaping Lending.Over
  ) async throws {
    let channel = AsyncChannel<DriverInput>()
    let tellers = attempt.nodes.indices.map { rank in
      NodeTeller(
        services: services, attempt: attempt, epoch: epoch, nodeRank: rank, target: targets[rank], channel: channel)
    }
    var driver = AttemptDriver(
      services: services, epoch: epoch, brief: brief, targets: targets, attempt: attempt,
      gang: GangState(
        nodeCount: attempt.nodes.count, stagingTotal: brief.stagingTotal,
        chiefDecides: brief.spec.launcher.chiefDecides),
      lastSave: LastSave(
        assumed: brief.lastSave, grace: brief.spec.checkpoint.grace, interval: brief.spec.checkpoint.every),
      offsets: attempt.nodes.map(\.metricsOffset), stagingIsOver: stagingIsOver, tellers: tellers)
    let outcome = try await withThrowingTaskGroup(of: Void.self, returning: GangOutcome?.self) { group in
      for rank in attempt.nodes.indices {
        let follower = NodeFollower(
          services: services, brief: brief, nodeRank: rank, target: targets[rank],
          metricsOffset: attempt.nodes[rank].metricsOffset, mayStart: attempt.state == .staging, channel: channel)
        group.addTask { await follower.run() }
      }
      for teller in tellers { group.addTask { await teller.run() } }
      group.addTask { await Self.pass(changesOf: attempt, services, to: channel) }
      group.addTask { await Self.tick(channel) }
      defer {
        group.cancelAll()
        channel.finish()
      }
      for await input in channel {
        if let outcome = try await driver.take(input) { return outcome }
        if driver.attempt.state == .ended { return nil }
      }
      return nil
    }
    _ = services.progress.note(nil, for: attempt.job)
    services.progress.forget(attempt.id)
    if let outcome {
      try await driver.finish(outcome)
    } else if driver.attempt.state == .ended {
      // Ended by another hand: its lease was given up, or ran out. What still runs of it has no right to.
      await driver.clear()
    }
  }

  /// Wakes the driver when something that concerns it changes.
  private static func pass(
    changesOf attempt: AttemptRecord, _ services: Services, to channel: AsyncChannel<DriverInput>
  ) async {
    for await change in services.hub.changes() {
      switch change {
      case .job(attempt.job), .attempt(attempt.id), .lease(attempt.lease), .everything: await channel.send(.look)
      default: continue
      }
    }
  }

  private static func tick(_ channel: AsyncChannel<DriverInput>) async {
    while !Task.isCancelled {
      await channel.send(.look)
      do { try await Task.sleep(for: lookEvery) } catch { return }
    }
  }

  /// Takes one input in; returns how the attempt ended once it has.
  private mutating func take(_ input: DriverInput) async throws -> GangOutcome? {
    switch input {
    case .frame(let rank, let frame):
      return try await take(frame, from: rank)
    case .refused(let rank, let why):
      // Nodes refuse who was replaced, too; then nothing may follow from it.
      guard try await services.store.controller().epoch == epoch else {
        throw APIFailure(.unavailable, "another controller decides now: \(why)")
      }
      return try await giveUp(on: rank, "node \(targets[rank].name) refused it: \(why)")
    case .trouble(let rank, let since, let trouble):
      return try await take(trouble, since: since, from: rank)
    case .told(let rank, let telling, let took):
      try await wasTold(rank, telling, took: took)
      return nil
    case .look:
      return try await look()
    }
  }

  /// Waits for a node that has trouble, or gives it up.
  ///
  /// Whatever that node still does ends at its own deadline, or when it is seen again.
  private mutating func take(
    _ trouble: NodeTrouble, since: ContinuousClock.Instant, from rank: Int
  ) async throws -> GangOutcome? {
    if case .elsewhere = trouble { return nil }
    let isPatienceOver = ContinuousClock().now - since > services.reachPatience
    let why = trouble.text(node: targets[rank].name, patience: "\(TimeSpan(services.reachPatience))")
    if attempt.state == .staging { return isPatienceOver ? try await giveUp(on: rank, why) : nil }
    let wasOver = gang.isOver(nodeRank: rank)
    let actions = gang.outOfReach(
      nodeRank: rank, isRunning: attempt.state != .launching, isPatienceOver: isPatienceOver, why)
    if !wasOver, gang.isOver(nodeRank: rank) {
      _ = try await services.store.setNodeState(targets[rank].id, to: .suspect, by: epoch)
    }
    return try await act(on: actions)
  }

  private mutating func take(_ frame: FollowFrame, from rank: Int) async throws -> GangOutcome? {
    switch frame {
    case .journal(let entry):
      heard.insert(rank)
      let actions = gang.received(entry.event, from: rank)
      try await note(entry, from: rank)
      return try await act(on: actions)
    case .metrics(let lines, let end):
      try await ingest(lines, upTo: end, from: rank)
      return nil
    case .alive:
      return nil
    case .supervisorGone, .unknownAttempt:
      // Nothing of it may survive it: the node is asked to make sure before the attempt is called lost.
      try await services.agents.purge(attempt.id, on: targets[rank])
      let why = frame == .supervisorGone ? "its supervisor was killed" : "it does not know the attempt any more"
      return try await act(on: gang.lost(nodeRank: rank, why))
    }
  }

  private mutating func act(on actions: [GangState.Action]) async throws -> GangOutcome? {
    for action in actions {
      switch action {
      case .tellPeers(let ports):
        peers.says(ports)
        tell()
      case .launch(let notice):
        try await launch(notice)
      case .startMPIDaemon(let rank, let command):
        mpiDaemons[rank, default: Notice()].says(command)
        tell()
      case .running:
        _ = try await services.store.markRunning(attempt.id, by: epoch)
      case .leaving:
        _ = try await services.store.markCheckpointing(attempt.id, by: epoch)
      case .stop(_, let cause):
        stops.wants(.stop(cause))
        tell()
      case .checkpointSeen(let step, let bytes):
        _ = try await services.store.registerCheckpoint(
          attempt.id, step: Int64(step), state: .uploading, size: bytes, by: epoch)
      case .commit(let stored):
        try await commit(stored)
      case .checkpointRejected(let step, let reason):
        services.logger.warning("\(attempt.job): checkpoint of step \(step) is of no use: \(reason)")
      case .finish(let outcome):
        return outcome
      }
    }
    return nil
  }

  /// Tells every node to start its ranks.
  ///
  /// The database knows first: a node that is told twice starts once, and one that could not be told while the
  /// database says LAUNCHING is told at the next look, or when a driver takes over.
  private mutating func launch(_ wanted: LaunchNotice) async throws {
    var notice = wanted
    if attempt.state == .staging {
      _ = try await services.store.markLaunching(attempt.id, masterPort: notice.masterPort, by: epoch)
      attempt = try await services.store.attempt(attempt.id)
    }
    notice.masterPort = attempt.masterPort ?? notice.masterPort
    launches.says(notice)
    tell()
  }

  private mutating func commit(_ stored: StoredCheckpoint) async throws {
    lastSave.measured(save: stored.saveTook, upload: stored.uploadTook, bytes: stored.bytes)
    let result = try await services.store.commitCheckpoint(
      CheckpointCommit(
        attempt: attempt.id, step: Int64(stored.step), manifestHash: stored.manifestSHA256, size: stored.bytes,
        objectPrefix: stored.prefix, saveTime: stored.saveTook ?? .zero, uploadTime: stored.uploadTook,
        isFinal: stored.isFinal), by: epoch)
    if case .stale = result {
      services.logger.debug("\(attempt.job): the checkpoint of step \(stored.step) was settled before")
    }
  }

  /// Ends the attempt in the database, then clears the nodes.
  private func finish(_ outcome: GangOutcome) async throws {
    let ending = AttemptEnding(
      attempt: attempt.id, outcome: outcome.outcome, exitCode: outcome.exitCode, detail: outcome.detail,
      stagingFault: try await stagingFault(outcome),
      isSettled: gang.isSettled(after: outcome.outcome))
    let result = try await services.store.endAttempt(ending, by: epoch)
    services.logger.info("\(attempt.id) of \(attempt.job) ended: \(outcome.outcome.rawValue): \(outcome.detail)")
    if case .done(let end) = result {
      services.logger.info("\(end.job) is \(end.fate.state.rawValue) (\(end.fate.reason))")
    }
    // Whoever was replaced meanwhile changes nothing: the attempt may live, under another controller.
    if try await services.store.attempt(attempt.id).state == .ended { await clear() }
  }

  /// Whose fault it is that something did not come to a node.
  ///
  /// A node's word is not enough to give up a checkpoint: it is read back, and marked where it is no checkpoint any more.
  private func stagingFault(_ outcome: GangOutcome) async throws -> AttemptEnd.StagingFault {
    guard let resume = brief.resume, let id = attempt.resumeCheckpoint,
      let owner = ObjectLayout.parseCheckpoint(prefix: resume.prefix)?.run,
      outcome.badObject?.hasPrefix(ObjectLayout.checkpoints(of: owner)) == true
    else { return outcome.stagingFault }
    do {
      let found = try await verifyCheckpoint(services.objects, prefix: resume.prefix)
      guard found.manifestSHA256 == resume.manifestSHA256 else {
        throw CheckpointFault.badManifest("it is another one than was committed")
      }
      return .node
    } catch let fault as CheckpointFault {
      services.logger.warning("\(id) of \(attempt.job) is of no use any more: \(fault)")
      _ = try await services.store.markCorrupt(id, detail: "\(fault)", by: .controller(epoch))
      // Nothing takes the place of another run's checkpoint.
      return owner == attempt.job.run ? .checkpoint : .job
    }
  }

  /// Removes the attempt's folders; what the lease's end has not taken already.
  ///
  /// Trying is enough: nothing runs there.
  private func clear() async {
    await withTaskGroup(of: Void.self) { group in
      for target in targets {
        group.addTask {
          do {
            try await services.agents.purge(attempt.id, on: target)
          } catch {
            services.logger.debug("clearing \(attempt.id) on \(target.name): \(error)")
          }
        }
      }
    }
  }
}
