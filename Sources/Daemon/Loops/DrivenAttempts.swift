import Domain
import Synchronization

/// Which attempts have a driver, and which are left alone for a while because theirs failed.
final class DrivenAttempts: Sendable {
  /// A driver that ran so long worked: what fails now is new.
  private static let worked = Duration.seconds(60)

  private struct State {
    var driven: Set<AttemptID> = []
    var troubles = Troubles<AttemptID>(longestPause: .seconds(30))
  }

  private let state = Mutex(State())

  /// Whether the attempt is to get a driver now; it has one from then on.
  func begin(_ attempt: AttemptID, at now: ContinuousClock.Instant) -> Bool {
    state.withLock { !$0.troubles.isResting(attempt, at: now) && $0.driven.insert(attempt).inserted }
  }

  /// Its driver has done its work.
  func end(_ attempt: AttemptID) {
    state.withLock {
      $0.driven.remove(attempt)
      $0.troubles.isOver(attempt)
    }
  }

  /// Its driver failed; returns whether people should hear of it: the one before did not fail as well.
  func fail(
    _ attempt: AttemptID, ranFrom began: ContinuousClock.Instant, until now: ContinuousClock.Instant, jitter: Double
  ) -> Bool {
    state.withLock {
      $0.driven.remove(attempt)
      if now - began >= Self.worked { $0.troubles.isOver(attempt) }
      return $0.troubles.failed(attempt, at: now, jitter: jitter)
    }
  }

  /// Attempts other than these are over.
  func keep(_ live: Set<AttemptID>) { state.withLock { $0.troubles.keep(live) } }

  /// When the next that is left alone is to be tried again.
  func nextTry(after now: ContinuousClock.Instant) -> ContinuousClock.Instant? {
    state.withLock { $0.troubles.nextTry(after: now) }
  }
}
