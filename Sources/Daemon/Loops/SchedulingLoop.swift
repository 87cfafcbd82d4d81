import Domain
import Logging
import Scheduling
import Store

/// Load a snapshot, plan, apply: each start is checked again by the database, which has the last word.
struct SchedulingLoop: Sendable {
  /// Longest time between two rounds, should every wake-up call be lost.
  private static let patience = TimeSpan.seconds(20)
  /// After a round the loop rests three times as long as the round took, but no longer than this.
  private static let longestRest = Duration.seconds(1)

  let services: Services
  let epoch: ControllerEpoch

  /// Runs rounds until cancelled.
  func run() async {
    let bell = Bell()
    let token = services.hub.listen { change in
      switch change {
      case .job, .lease, .attempt, .node, .everything: bell.ring()
      case .event, .metrics: break
      }
    }
    defer { token.cancel() }
    let clock = ContinuousClock()
    var troubles = Troubles<JobID>()
    while !Task.isCancelled {
      var pause = Self.patience
      let began = clock.now
      do {
        pause = try await round(&troubles)
      } catch {
        services.logger.warning("scheduler: \(error)")
        pause = .seconds(1)
      }
      if let nextTry = troubles.nextTry(after: clock.now) { pause = min(pause, TimeSpan(nextTry - clock.now)) }
      // A long queue makes rounds long, and a storm of submissions rings all the time: most of the time is for others.
      do { try await Task.sleep(for: min((clock.now - began) * 3, Self.longestRest)) } catch { return }
      await bell.sleep(atMost: Duration(pause))
    }
  }

  /// One round; returns how long nothing will change by itself.
  private func round(_ troubles: inout Troubles<JobID>) async throws -> TimeSpan {
    var (snapshot, takenAt) = try await services.store.snapshot()
    troubles.keep(Set(snapshot.waiting.map(\.id)))
    // What cannot be started for now holds no place that others could have.
    let now = ContinuousClock.now
    snapshot.waiting.removeAll { troubles.isResting($0.id, at: now) }
    let decided = plan(snapshot, at: takenAt)
    var wasStale = false
    for start in decided.starts {
      do {
        switch try await services.store.start(start, by: epoch) {
        case .done(let attempt):
          services.logger.info("\(start.job) starts as \(attempt.id) in \(start.lease) on \(start.placement.nodes)")
        case .stale:
          services.logger.info("\(start.job) would have started in \(start.lease), which changed meanwhile")
          wasStale = true
        }
        troubles.isOver(start.job)
      } catch {
        if Store.concernsAll(error) { throw error }
        await tell(of: start.job, error, &troubles)
        // Its place is free for others, who were planned around it.
        wasStale = true
      }
    }
    if !decided.refusals.isEmpty { _ = try await services.store.setReasons(decided.refusals, by: epoch) }
    if wasStale { return .seconds(1) }
    guard let wakeAt = decided.wakeAt else { return Self.patience }
    return min(max(wakeAt - takenAt, .zero) + TimeSpan(microseconds: 20_000), Self.patience)
  }

  /// Logs a start that failed each time, and shows it to people once.
  private func tell(of job: JobID, _ error: any Error, _ troubles: inout Troubles<JobID>) async {
    services.logger.error("\(job) should have started and cannot, it is tried again: \(error)")
    guard troubles.failed(job, at: .now, jitter: .random(in: 0...1)) else { return }
    do {
      _ = try await services.store.recordTrouble(of: job, "it cannot be started: \(error)", by: epoch)
    } catch {
      services.logger.warning("scheduler: the trouble with \(job) could not be written down: \(error)")
    }
  }
}
