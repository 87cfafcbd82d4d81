import Domain
import Logging
import Store
import Synchronization

/// Ends replays that have come far enough, and judges once both are over.
struct ResumeChecker: Sendable {
  private static let patience = Duration.seconds(20)
  private static let pauseAfterError = Duration.seconds(2)
  /// Points come much faster than anything follows from them.
  private static let leastGap = Duration.milliseconds(200)

  let services: Services
  let epoch: ControllerEpoch

  /// Checks until cancelled.
  func run() async {
    let bell = Bell()
    // Other curves grow all the time.
    let replaying = Watched()
    let token = services.hub.listen { change in
      switch change {
      case .job, .everything: bell.ring()
      case .metrics(let job): if replaying.has(job) { bell.ring() }
      default: break
      }
    }
    defer { token.cancel() }
    while !Task.isCancelled {
      var pause = Self.patience
      do {
        let checks = try await services.store.openResumeChecks()
        replaying.are(Set(checks.flatMap(\.replays)))
        for check in checks where await !hasMoved(check) { pause = Self.pauseAfterError }
      } catch {
        services.logger.warning("resume checks: \(error)")
        pause = Self.pauseAfterError
      }
      do { try await Task.sleep(for: Self.leastGap) } catch { return }
      await bell.sleep(atMost: pause)
    }
  }

  /// The jobs whose points matter.
  private final class Watched: Sendable {
    private let jobs = Mutex<Set<JobID>>([])

    func has(_ job: JobID) -> Bool { jobs.withLock { $0.contains(job) } }

    func are(_ all: Set<JobID>) { jobs.withLock { $0 = all } }
  }

  /// Whether all was done about `check` that can be done now; what is wrong with one keeps no other waiting.
  private func hasMoved(_ check: ResumeCheckRecord) async -> Bool {
    do {
      try await move(check)
      return true
    } catch {
      services.logger.warning("\(check.id) of \(check.job.run): \(error)")
      return false
    }
  }

  private func move(_ check: ResumeCheckRecord) async throws {
    let store = services.store
    let attempt = try await store.attempt(check.attempt)
    let original = SeriesSource.attempt(of: attempt.job, number: attempt.number)
    let last = try await store.lastStep(check.metric, original, after: check.step, upTo: check.lastStep)
    let goal = last ?? check.lastStep
    var replays: [Replay] = []
    for id in check.replays { replays.append(try await replay(id, check, goal)) }
    // One that failed decides: the other would be run for nothing.
    let isLost = replays.contains(where: \.hasFailed)
    for replay in replays where !replay.job.state.isFinal {
      if isLost || replay.isThere || replay.job.state == .held { try await end(replay.job) }
    }
    guard replays.allSatisfy(\.job.state.isFinal) else { return }
    let verdict: ResumeVerdict
    if let failed = replays.first(where: \.hasFailed) {
      let why = failed.job.reasonDetail ?? failed.job.reason ?? failed.job.state.rawValue
      verdict = .failed("\(failed.job.id), which replays it, came to no step \(goal): \(why)")
    } else {
      verdict = try await evidence(check, attempt, original, replays).verdict()
    }
    if case .done = try await store.endResumeCheck(check.id, verdict, by: epoch) {
      services.logger.info("\(check.id) of \(check.job.run): \(verdict.outcome.rawValue): \(verdict.detail)")
    }
  }

  private func evidence(
    _ check: ResumeCheckRecord, _ attempt: AttemptRecord, _ original: SeriesSource, _ replays: [Replay]
  ) async throws -> ResumeEvidence {
    let store = services.store
    func tally(
      _ left: SeriesSource, _ right: SeriesSource, at reference: SeriesSource? = nil
    ) async throws -> SeriesTally {
      try await store.tally(check.metric, left, right, at: reference, after: check.step, upTo: check.lastStep)
    }
    // One that came to its end without an attempt has no values.
    let series = replays.map { SeriesSource.attempt(of: $0.job.id, number: 1) }
    var tallies: [SeriesTally] = []
    for replay in series { tallies.append(try await tally(original, replay)) }
    let ranksEach = try await store.job(check.job).spec.launcher.processesPerNode
    return ResumeEvidence(
      replays: tallies, betweenReplays: try await tally(series[0], series[series.count - 1], at: original),
      saved: check.saved, loaded: replays.map(\.loaded), savedRanks: attempt.nodes.count * ranksEach,
      loadedRanks: replays.map(\.ranks), tolerance: check.tolerance)
  }

  /// How far a replay is.
  private struct Replay {
    var job: JobRecord
    var loaded: IngredientReport?
    /// How many ranks it had; 0 where not all that they said may have been heard.
    var ranks = 0
    /// Whether it has a value at the last step that is compared, or after it.
    var isThere = false
    /// Whether it is over and did not come that far; one whose program was done just has no more values.
    var hasFailed: Bool { job.state.isFinal && !isThere && job.state != .completed }
  }

  private func replay(_ id: JobID, _ check: ResumeCheckRecord, _ goal: Int64) async throws -> Replay {
    let store = services.store
    var replay = Replay(job: try await store.job(id))
    // It has one attempt: whatever ended that ended the job.
    guard let attempt = try await store.attempts(of: id).first else { return replay }
    let last = try await store.lastStep(
      check.metric, .attempt(of: id, number: attempt.number), after: check.step)
    replay.isThere = (last ?? check.step) >= goal
    replay.loaded = try await store.loadedState(of: attempt.id)
    // A node that was lost may have had more to say.
    if attempt.outcome == .cancelled || attempt.outcome == .completed {
      let isSettled = try await !store.unsettledAttempts().contains { $0.id == attempt.id }
      replay.ranks = isSettled ? attempt.nodes.count * replay.job.spec.launcher.processesPerNode : 0
    }
    return replay
  }

  /// Ends a replay without letting it save: nobody goes on from there.
  private func end(_ job: JobRecord) async throws {
    guard job.cancelRequestedAt == nil else { return }
    if case .requested = try await services.store.cancelJob(job.id, by: .controller(epoch)) {
      _ = try await services.store.askForKill(of: job.id)
    }
  }
}
