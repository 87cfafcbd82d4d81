import Domain
import Logging
import Store

/// Moves leases along as their time comes, by the database's clock: PENDING, ACTIVE, ENDING, TERMINATED.
///
/// Attempts that are live when their lease ends end with it, in the same transaction; what they left in the object
/// store is then brought in by the settler.
struct LeaseWatcher: Sendable {
  /// Longest time between two looks, should every wake-up call be lost.
  private static let patience = TimeSpan.seconds(30)

  let services: Services
  let epoch: ControllerEpoch

  /// Watches until cancelled, or until another process decides.
  func run() async {
    let bell = Bell()
    let token = services.hub.listen { change in
      switch change {
      // Nodes make their leases degraded, and whole again.
      case .lease, .node, .everything: bell.ring()
      default: break
      }
    }
    defer { token.cancel() }
    var troubles = Troubles<LeaseID>(longestPause: .seconds(15))
    while !Task.isCancelled {
      var pause = Self.patience
      do {
        guard try await round(&troubles) else { return }
        pause = try await untilNextBoundary(but: troubles.concerned)
        let now = ContinuousClock.now
        if let nextTry = troubles.nextTry(after: now) { pause = min(pause, TimeSpan(nextTry - now)) }
      } catch {
        services.logger.warning("lease watcher: \(error)")
        pause = .seconds(1)
      }
      await bell.sleep(atMost: Duration(pause))
    }
  }

  /// One look; false when another process decides now.
  private func round(_ troubles: inout Troubles<LeaseID>) async throws -> Bool {
    let store = services.store
    guard case .done(let ended) = try await store.terminateDueLeases(by: epoch),
      case .done(let begun) = try await store.activateDueLeases(by: epoch),
      case .done(let ending) = try await store.markEndingLeases(lead: services.endingLead, by: epoch),
      case .done(let judged) = try await store.judgeLeases(by: epoch)
    else { return false }
    for lease in begun.moved { services.logger.info("\(lease) began") }
    for lease in ending.moved { services.logger.info("\(lease) is ending") }
    for end in ended.moved {
      services.logger.info("\(end.lease) ended with \(end.attempts.count) attempts on it")
    }
    for health in judged {
      services.logger.info("\(health.lease) is \(health.isDegraded ? "degraded" : "whole again")")
    }
    let failures = ended.failures + begun.failures + ending.failures
    troubles.keep(Set(failures.map(\.lease)))
    for failure in failures { await tell(of: failure, &troubles) }
    return true
  }

  /// Logs a lease that cannot move each time, and shows it to people once.
  private func tell(of failure: LeaseFailure, _ troubles: inout Troubles<LeaseID>) async {
    services.logger.error("\(failure.lease) should have moved and cannot, it is tried again: \(failure.reason)")
    guard troubles.failed(failure.lease, at: .now, jitter: .random(in: 0...1)) else { return }
    do {
      _ = try await services.store.recordTrouble(with: failure.lease, failure.reason, by: epoch)
    } catch {
      services.logger.warning("lease watcher: the trouble with \(failure.lease) could not be written down: \(error)")
    }
  }

  private func untilNextBoundary(but stuck: Set<LeaseID>) async throws -> TimeSpan {
    guard let boundary = try await services.store.nextLeaseBoundary(lead: services.endingLead, but: stuck) else {
      return Self.patience
    }
    let left = boundary - (try await services.store.now())
    // A boundary is due when it has passed, so look just after it; and never spin.
    return min(max(left, .zero) + TimeSpan(microseconds: 5_000), Self.patience)
  }
}
