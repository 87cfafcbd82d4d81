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
      case .lease, .everything: bell.ring()
      default: break
      }
    }
    defer { token.cancel() }
    while !Task.isCancelled {
      var pause = Self.patience
      do {
        guard try await round() else { return }
        pause = try await untilNextBoundary()
      } catch {
        services.logger.warning("lease watcher: \(error)")
        pause = .seconds(1)
      }
      await bell.sleep(atMost: Duration(pause))
    }
  }

  /// One look; false when another process decides now.
  private func round() async throws -> Bool {
    let store = services.store
    guard case .done(let ended) = try await store.terminateDueLeases(by: epoch),
      case .done(let begun) = try await store.activateDueLeases(by: epoch),
      case .done(let ending) = try await store.markEndingLeases(lead: services.endingLead, by: epoch)
    else { return false }
    for lease in begun { services.logger.info("\(lease) began") }
    for lease in ending { services.logger.info("\(lease) is ending") }
    for end in ended {
      services.logger.info("\(end.lease) ended with \(end.attempts.count) attempts on it")
    }
    return true
  }

  private func untilNextBoundary() async throws -> TimeSpan {
    guard let boundary = try await services.store.nextLeaseBoundary(lead: services.endingLead) else {
      return Self.patience
    }
    let left = boundary - (try await services.store.now())
    // A boundary is due when it has passed, so look just after it; and never spin.
    return min(max(left, .zero) + TimeSpan(microseconds: 5_000), Self.patience)
  }
}
