import Domain
import Scheduling
import Synchronization

/// What is being staged ahead, and what is left alone for a while because it failed.
final class AheadStagings: Sendable {
  private struct Running {
    var staging: StagingAhead
    /// Rung when it is to end.
    var stop: Bell
  }

  private struct State {
    var running: [StagingAhead.Key: Running] = [:]
    var troubles = Troubles<StagingAhead.Key>(firstPause: .seconds(2))
  }

  private let state = Mutex(State())
  private let most: Int

  /// At most `most` at a time: each fills the links of its nodes by itself.
  init(most: Int = 4) { self.most = most }

  /// What is under way.
  var underWay: [StagingAhead] {
    state.withLock { $0.running.values.map(\.staging) }
  }

  /// These are wanted now.
  ///
  /// What is under way and not wanted any more, or not on the same nodes, is told to stop. Returns what is to begin,
  /// with the bell that stops it: what is needed, neither under way nor resting, as far as there are places.
  func want(
    _ wanted: [StagingAhead], at now: ContinuousClock.Instant
  ) -> [(staging: StagingAhead, stop: Bell)] {
    state.withLock { state in
      let byKey = Dictionary(wanted.map { ($0.key, $0) }) { first, _ in first }
      for (key, running) in state.running {
        let nodes = byKey[key].map { Set($0.nodes.keys) } ?? []
        if !nodes.isSuperset(of: running.staging.nodes.keys) { running.stop.ring() }
      }
      state.troubles.keep(Set(byKey.keys))
      var begun: [(staging: StagingAhead, stop: Bell)] = []
      for staging in wanted where staging.isNeeded && state.running.count < most {
        guard state.running[staging.key] == nil, !state.troubles.isResting(staging.key, at: now) else { continue }
        let stop = Bell()
        state.running[staging.key] = Running(staging: staging, stop: stop)
        begun.append((staging, stop))
      }
      return begun
    }
  }

  /// It is over: all is there, or it was told to stop.
  func end(_ key: StagingAhead.Key) {
    state.withLock {
      $0.running[key] = nil
      $0.troubles.isOver(key)
    }
  }

  /// It failed; returns whether people should hear of it: the one before did not fail as well.
  func fail(_ key: StagingAhead.Key, at now: ContinuousClock.Instant, jitter: Double) -> Bool {
    state.withLock {
      $0.running[key] = nil
      return $0.troubles.failed(key, at: now, jitter: jitter)
    }
  }

  /// When the next of those that rest is to be tried; nil where none rests.
  func nextTry(after now: ContinuousClock.Instant) -> ContinuousClock.Instant? {
    state.withLock { $0.troubles.nextTry(after: now) }
  }
}
