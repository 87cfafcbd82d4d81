import Domain
import Glibc
import ObjectStorage
import Wire

extension Supervisor {
  /// The next asking on the schedule that all nodes share: whole multiples since the launch.
  var nextAsk: BootInstant? {
    guard let every = order.checkpointEvery, every > .zero, let launchedAt else { return nil }
    return launchedAt + TimeSpan(microseconds: every.microseconds * Int64(asked + 1))
  }

  /// Asks, as the schedule has it, a program that has begun to work; one that has not is left alone until the next time.
  func askOnSchedule(_ now: BootInstant) {
    guard let every = order.checkpointEvery, let launchedAt else { return }
    let hasTold = (Disk.status(folder.metrics)?.size ?? 0) > 0
    if FirstAsk.isDue(
      toldMetric: hasTold, sinceFirstLine: firstLineAt.map { now - $0 }, sinceLaunch: now - launchedAt, every: every)
    {
      ask()
    } else {
      asked += 1
    }
  }

  /// SIGUSR1, or what the job says instead, to those who know what it means: it would kill a program that does not.
  func ask() {
    guard let signal = (order.saveSignal ?? .usr1).number else { return }
    if let every = order.checkpointEvery, every > .zero, let launchedAt {
      asked = max(asked, Int((BootInstant.now() - launchedAt).microseconds / every.microseconds))
    }
    note(.checkpointAsked)
    askedAt = askedAt ?? .now()
    for rank in ranks where rank.end == nil && !rank.serves {
      for pid in ProcessTable.topmostHandlers(of: signal, at: top(of: rank)) { kill(pid, signal) }
    }
  }

  func readCheckpoints() {
    for finding in local?.poll() ?? [] { take(finding) }
  }

  /// Takes what is left, and tells what will never become a checkpoint, now that nobody writes any more.
  func takeRest() {
    let wasKilled = ranks.contains { !$0.serves && ($0.end == nil || $0.wasTold && $0.end == .signalled(SIGKILL)) }
    let endedWell = ranks.allSatisfy { $0.serves || $0.end == .exited(0) }
    for finding in local?.rest(wasKilled: wasKilled, endedWell: endedWell) ?? [] { take(finding) }
  }

  func take(_ finding: LocalCheckpoints.Finding) {
    switch finding {
    case .useless(let step, let reason):
      note(.checkpointRejected(step: step, reason: reason))
      settle(step)
    case .complete(let checkpoint):
      if let askedAt { saveTimes[checkpoint.step] = .now() - askedAt }
      askedAt = nil
      if terminated != nil { afterStop.insert(checkpoint.step) }
      let bytes = size(of: folder.checkpoint(step: checkpoint.step))
      sizes[checkpoint.step] = bytes
      rule.expects(bytes)
      note(.checkpointLocal(step: checkpoint.step, bytes: bytes))
      tellPlan()
      for skipped in queue.add(checkpoint) { settle(skipped.step) }
    }
  }

  private func size(of path: String) -> ByteCount {
    guard let status = Disk.status(path) else { return .zero }
    guard status.isFolder else { return ByteCount(status.size) }
    let names = (try? Disk.names(in: path)) ?? []
    return names.reduce(.zero) { $0 + size(of: "\(path)/\($1)") }
  }

  func beginUpload() {
    guard let checkpoint = queue.begin() else { return }
    let newer = queue.stepsInParts.filter { $0 > checkpoint.step }
    let limiter = UploadLimiter(interval: gentleInterval)
    self.limiter = limiter
    var work = CheckpointUpload(
      order: order, folder: folder, checkpoint: checkpoint, store: store, base: base, limiter: limiter, newer: newer)
    let mailbox = mailbox
    work.pacing = Self.pacing(telling: mailbox)
    upload = Task.detached { [work] in
      let begun = BootInstant.now()
      let outcome = await work.run()
      mailbox.post(.uploaded(checkpoint, outcome, took: .now() - begun - limiter.paused))
    }
  }

  /// Between saves, while an upload need not hurry; nil where it has to, or nothing is asked for on a schedule.
  private var gentleInterval: TimeSpan? {
    guard case .running = phase, terminated == nil, let every = order.checkpointEvery, every > .zero,
      BootInstant.now() < rule.fullSpeedAt(end: end, interval: every)
    else { return nil }
    return every
  }

  /// When the upload under way has to stop being gentle; nil where it does not hold back.
  var fullSpeedAt: BootInstant? {
    guard limiter?.isGentle == true, let every = order.checkpointEvery else { return nil }
    return rule.fullSpeedAt(end: end, interval: every)
  }

  /// Tells when the last save begins, where that is news.
  func tellPlan() {
    guard case .running = phase, terminated == nil else { return }
    let lead = rule.lead
    if let planned = plannedLead {
      let change = abs((lead - planned).seconds)
      guard change > max(0.5, planned.seconds / 10) else { return }
    }
    plannedLead = lead
    note(.lastSavePlanned(lead: lead, doneBefore: rule.doneBefore))
  }

  func uploaded(_ checkpoint: LocalCheckpoint, _ outcome: CheckpointUpload.Outcome, took: TimeSpan) {
    guard queue.current == checkpoint else { return }
    let over = queue.finished(outcome.ending)
    guard !over.isEmpty else { return }
    let step = checkpoint.step
    limiter = nil
    switch outcome {
    case .stored(let prefix, let digest, let bytes):
      learn(step, took)
      let isLast = if case .saving = phase { true } else { afterStop.contains(step) }
      note(
        .checkpointStored(
          StoredCheckpoint(
            step: step, prefix: prefix, manifestSHA256: digest, bytes: bytes, saveTook: saveTimes[step],
            uploadTook: took, isFinal: isLast && queue.isEmpty)))
    case .partStored:
      learn(step, took)
    case .rejected(let reason):
      note(.checkpointRejected(step: step, reason: reason))
    case .cancelled:
      note(.checkpointRejected(step: step, reason: "a newer one took its place, or no time was left to store it"))
    }
    for checkpoint in over {
      saveTimes[checkpoint.step] = nil
      sizes[checkpoint.step] = nil
      settle(checkpoint.step)
    }
  }

  private func learn(_ step: Int, _ took: TimeSpan) {
    rule.measured(save: saveTimes[step], upload: took, bytes: sizes[step] ?? .zero)
    tellPlan()
  }

  /// Keeps the newest two of the checkpoints that need no more work; those that wait are not touched.
  private func settle(_ step: Int) {
    settled = Set(settled + [step]).sorted()
    while settled.count > 2 {
      let old = settled.removeFirst()
      do {
        try Disk.removeTree(folder.checkpoint(step: old))
      } catch {
        complain("checkpoint \(old): \(error)")
      }
    }
  }
}

extension CheckpointUpload.Outcome {
  /// What it means for those that wait.
  fileprivate var ending: CheckpointQueue.Ending {
    switch self {
    case .stored: .stored
    case .partStored: .partStored
    case .rejected: .rejected
    case .cancelled: .cancelled
    }
  }
}
