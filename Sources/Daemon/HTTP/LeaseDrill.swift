import Domain
import Launching
import ObjectStorage
import Scheduling
import Store
import Synchronization
import Wire

/// Plays a lease's end without giving its nodes back, and tells what would have gone wrong.
///
/// What runs saves and goes on; only where `stops`, it leaves as at the end, and goes on in the same lease.
struct LeaseDrill: Sendable {
  /// Nobody waits longer for a change than this before looking again.
  private static let look = Duration.seconds(1)

  let services: Services
  let actor: Actor
  let lease: LeaseRecord
  let stops: Bool

  /// Makes all checks, tells each as it is made, and writes down what came of it.
  ///
  /// Throws what `tell` throws, and where the database does not answer; what was asked for by then goes on by itself.
  func run(_ tell: @escaping @Sendable (DrillCheck) async throws -> Void) async throws -> DrillReport {
    let began = ContinuousClock.now
    let attempts = try await services.store.liveAttempts().filter { $0.lease == lease.id }
    var checks: [DrillCheck] = []
    try await withThrowingTaskGroup(of: DrillCheck.self) { group in
      for node in lease.nodes { group.addTask { try await check(node: node) } }
      group.addTask { await checkStore() }
      for try await check in group {
        checks.append(check)
        try await tell(check)
      }
    }
    try await withThrowingTaskGroup(of: [DrillCheck].self) { group in
      for attempt in attempts {
        group.addTask {
          var found: [DrillCheck] = [try await checkNextLease(of: attempt)]
          try await tell(found[0])
          found += try await stops ? stop(attempt, tell) : save(attempt, tell)
          return found
        }
      }
      for try await found in group { checks += found }
    }
    let report = DrillReport(
      lease: lease.id, leaseName: lease.name, stopped: stops, took: TimeSpan(ContinuousClock.now - began),
      checks: checks.sorted { ($0.subject, DrillJudge.place($0.name)) < ($1.subject, DrillJudge.place($1.name)) })
    let failed = report.checks.filter { !$0.passed }.map { "\($0.name) of \($0.subject)" }
    _ = try await services.store.recordDrill(
      of: lease.id, passed: report.passed,
      detail: failed.isEmpty ? counted(checks.count, "check") : failed.joined(separator: ", "), by: actor)
    return report
  }

  // MARK: - What does not depend on a run

  private func check(node id: NodeID) async throws -> DrillCheck {
    let node = try await services.store.node(id)
    let name = node.request.name
    let began = ContinuousClock.now
    do {
      let report = try await services.agents.probe(services.target(node))
      return DrillCheck(
        name: "node", subject: name, passed: true,
        detail: "answers, the agent is in place, \(report.diskFree) of its disk are free",
        took: TimeSpan(ContinuousClock.now - began))
    } catch {
      return DrillCheck(
        name: "node", subject: name, passed: false, detail: "\(error)", next: "baton node check \(name)",
        took: TimeSpan(ContinuousClock.now - began))
    }
  }

  /// Writes an object, reads it, removes it.
  private func checkStore() async -> DrillCheck {
    let key = "drills/\(lease.id)-\(UInt64.random(in: 0...UInt64.max))"
    let bytes = Array("a drill of \(lease.id)\n".utf8)
    let began = ContinuousClock.now
    do {
      _ = try await services.objects.put(key, from: .bytes(bytes))
      let back = Collected()
      try await services.objects.get(key) { back.add($0) }
      try await services.objects.delete(key)
      let isEqual = back.bytes == bytes
      return DrillCheck(
        name: "store", subject: "object store", passed: isEqual,
        detail: isEqual ? "can be written and read" : "gave back other bytes than were written",
        next: isEqual ? nil : "baton doctor", took: TimeSpan(ContinuousClock.now - began))
    } catch {
      return DrillCheck(
        name: "store", subject: "object store", passed: false, detail: "\(error)", next: "baton doctor",
        took: TimeSpan(ContinuousClock.now - began))
    }
  }

  // MARK: - What a run will need

  private func checkNextLease(of attempt: AttemptRecord) async throws -> DrillCheck {
    let (snapshot, now) = try await services.store.snapshot()
    let job = try await services.store.jobsGoingOn([attempt.job]).first
    let found = job.map { verdicts(on: $0, in: snapshot, at: now) } ?? []
    let later = Set(snapshot.leases.filter { $0.period.end > lease.period.end && $0.id != lease.id }.map(\.id))
    return DrillJudge.nextLease(found.filter { later.contains($0.lease) }, for: attempt.job)
  }

  /// Has it save and go on.
  private func save(
    _ attempt: AttemptRecord, _ tell: @Sendable (DrillCheck) async throws -> Void
  ) async throws -> [DrillCheck] {
    let store = services.store
    guard try await store.job(attempt.job).spec.checkpoint.canBeAsked else {
      let check = DrillJudge.notAsked(attempt.job)
      try await tell(check)
      return [check]
    }
    let lead = try await store.lastSaveLead(of: attempt.job)
    let asked = try await store.now()
    guard attempt.state == .running, case .done = try await store.askForCheckpoint(of: attempt.job) else {
      let check = DrillJudge.notRunning(attempt.job, attempt.state)
      try await tell(check)
      return [check]
    }
    let patience = DrillJudge.patience(lead: lead, grace: .zero, left: lease.period.end - asked)
    let saved: CheckpointRecord? = try await wait(patience, for: attempt) {
      try await store.checkpoints(of: attempt.job).first {
        $0.attempt == attempt.id && $0.durableAt != nil && $0.createdAt >= asked
      }
    }
    let check = DrillJudge.save(
      attempt.job, step: saved.map { Int($0.step) }, took: saved?.durableAt.map { $0 - asked }, lead: lead,
      patience: patience)
    try await tell(check)
    guard let saved else { return [check] }
    let second = try await readBack(saved)
    try await tell(second)
    return [check, second]
  }

  /// Reads all of it back, as whoever resumes from it would.
  private func readBack(_ checkpoint: CheckpointRecord) async throws -> DrillCheck {
    let began = ContinuousClock.now
    let fault = try await Verifier(services: services, actor: actor)
      .fault(in: checkpoint, prefix: checkpoint.objectPrefix ?? "")
    return DrillCheck(
      name: "read back", subject: "\(checkpoint.job)", passed: fault == nil,
      detail: fault.map { "\(checkpoint.id): \($0)" } ?? "\(checkpoint.id), \(checkpoint.size), is whole in the store",
      next: fault == nil ? nil : "baton checkpoint list \(checkpoint.job)", took: TimeSpan(ContinuousClock.now - began))
  }

  // MARK: - The whole of it

  /// Has it save and leave, and waits until it steps again in this lease.
  private func stop(
    _ attempt: AttemptRecord, _ tell: @Sendable (DrillCheck) async throws -> Void
  ) async throws -> [DrillCheck] {
    let store = services.store
    let job = try await store.job(attempt.job)
    let lead = try await store.lastSaveLead(of: attempt.job)
    let asked = try await store.now()
    if let refusal = try await whyNotToStop(attempt, job) {
      try await tell(refusal)
      return [refusal]
    }
    guard case .done = try await store.askToLeave(attempt.id) else {
      let check = DrillJudge.notRunning(attempt.job, attempt.state)
      try await tell(check)
      return [check]
    }
    let patience = DrillJudge.patience(
      lead: lead, grace: job.spec.checkpoint.grace, left: lease.period.end - asked)
    let ended: AttemptRecord? = try await wait(patience, for: attempt) {
      let now = try await store.attempt(attempt.id)
      return now.state == .ended ? now : nil
    }
    let saved = try await store.checkpoints(of: attempt.job).first {
      $0.attempt == attempt.id && $0.durableAt != nil && $0.createdAt >= asked
    }
    var checks = [
      DrillJudge.save(
        attempt.job, step: saved.map { Int($0.step) }, took: saved?.durableAt.map { $0 - asked }, lead: lead,
        patience: patience, outcome: ended?.outcome)
    ]
    try await tell(checks[0])
    guard ended != nil else { return checks }
    if let saved {
      checks.append(try await readBack(saved))
      try await tell(checks[1])
    }
    let next: AttemptMoments? = try await wait(patience, for: attempt) {
      try await store.moments(of: attempt.job).first { $0.number > attempt.number && $0.firstStepAt != nil }
    }
    let handoff = Handoff.all(of: try await store.moments(of: attempt.job)).last { $0.from == attempt.number }
    let resumed = DrillJudge.resume(
      attempt.job, hasStepped: next != nil, isSaved: next?.resumed != nil, handoff: handoff, patience: patience)
    checks.append(resumed)
    try await tell(resumed)
    return checks
  }

  /// What would come of it that nobody wants; nil where it would go on in this lease.
  private func whyNotToStop(_ attempt: AttemptRecord, _ job: JobRecord) async throws -> DrillCheck? {
    guard job.spec.survivesLease else {
      return DrillJudge.notStopped(attempt.job, "its job file says lease.survive: false, so it would be over")
    }
    let (snapshot, now) = try await services.store.snapshot()
    guard let waiting = try await services.store.jobsGoingOn([attempt.job]).first else { return nil }
    let own = verdicts(on: waiting, in: snapshot, at: now).first { $0.lease == lease.id }
    return own?.refusal.map { DrillJudge.notStopped(attempt.job, "it would not go on here: \($0)") }
  }

  /// What `find` finds within `patience`, looked for at each change; nil where that passes, or the attempt ends without it.
  private func wait<Found>(
    _ patience: TimeSpan, for attempt: AttemptRecord, _ find: () async throws -> Found?
  ) async throws -> Found? {
    let bell = Bell()
    let token = services.hub.listen { change in
      switch change {
      case .job(attempt.job), .attempt, .metrics(attempt.job), .everything: bell.ring()
      default: break
      }
    }
    defer { token.cancel() }
    let end = ContinuousClock.now + Duration(patience)
    while true {
      if let found = try await find() { return found }
      try Task.checkCancellation()
      if ContinuousClock.now >= end { return nil }
      await bell.sleep(atMost: min(Self.look, end - .now))
    }
  }
}

/// Bytes that come piece by piece.
private final class Collected: Sendable {
  private let all = Mutex<[UInt8]>([])

  var bytes: [UInt8] { all.withLock { $0 } }

  func add(_ piece: [UInt8]) { all.withLock { $0 += piece } }
}
