import Domain
import Logging
import Store
import Synchronization

/// Keeps a driver for every attempt that is not over: also for those that an earlier controller began.
struct Dispatcher: Sendable {
  private static let patience = Duration.seconds(10)
  private static let pauseAfterError = Duration.seconds(1)

  let services: Services
  let epoch: ControllerEpoch

  /// Dispatches until cancelled; drivers are cancelled with it, and what they drive goes on without them.
  func run() async {
    let bell = Bell()
    let token = services.hub.listen { change in
      switch change {
      case .attempt, .everything: bell.ring()
      default: break
      }
    }
    defer { token.cancel() }
    let driven = DrivenAttempts()
    await withDiscardingTaskGroup { group in
      while !Task.isCancelled {
        var pause = Self.patience
        do {
          for attempt in try await services.store.liveAttempts() where driven.begin(attempt.id) {
            group.addTask {
              await drive(attempt)
              driven.end(attempt.id)
              // Whether it is over or its driver failed is seen at the next look.
              bell.ring()
            }
          }
        } catch {
          services.logger.warning("dispatcher: \(error)")
          pause = Self.pauseAfterError
        }
        await bell.sleep(atMost: pause)
      }
      group.cancelAll()
    }
  }

  private func drive(_ attempt: AttemptRecord) async {
    do {
      try await AttemptDriver.drive(attempt, services, epoch)
    } catch {
      if Task.isCancelled { return }
      services.logger.warning("driver of \(attempt.id): \(error)")
      // A driver begins anew from the journals: what was done is not done twice, but a tight loop would help nobody.
      do { try await Task.sleep(for: Self.pauseAfterError) } catch { return }
    }
  }
}

/// Which attempts have a driver.
private final class DrivenAttempts: Sendable {
  private let attempts = Mutex<Set<AttemptID>>([])

  func begin(_ attempt: AttemptID) -> Bool { attempts.withLock { $0.insert(attempt).inserted } }

  func end(_ attempt: AttemptID) { attempts.withLock { _ = $0.remove(attempt) } }
}
