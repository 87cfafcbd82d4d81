import Synchronization

/// What a pool has to know of a connection without waiting for its queue.
final class SessionLoad: Sendable {
  struct State {
    /// Lent by a pool so many times.
    var leases = 0
    /// Channels open or waiting for a place.
    var channels = 0
    /// Channels closed before their command ended.
    ///
    /// The server may keep their places until it does.
    var abandoned = 0
    /// The server refused a channel: it has fewer places than expected.
    var isRefusing = false
    var isClosed = false
    /// Made for a pool that has not lent it for the first time yet.
    var isPromised = false
  }

  private let state = Mutex(State())

  func update<R: Sendable>(_ body: (inout State) -> R) -> R { state.withLock { body(&$0) } }

  var current: State { state.withLock { $0 } }

  /// Counts one more lease, unless the connection is closed or has no place left for another channel.
  func lease(limit: Int) -> Bool {
    state.withLock {
      guard !$0.isClosed, !$0.isRefusing, max($0.leases, $0.channels) + $0.abandoned < limit else { return false }
      $0.leases += 1
      return true
    }
  }

  /// Closes for new leases if nobody uses the connection.
  ///
  /// Returns whether it did.
  func closeIfIdle() -> Bool {
    state.withLock {
      guard $0.leases == 0, $0.channels == 0, !$0.isPromised else { return false }
      $0.isClosed = true
      return true
    }
  }
}
