import Domain
import Logging
import Postgres
import Synchronization

/// What the database said has changed.
enum Change: Hashable, Sendable {
  case job(JobID)
  case lease(LeaseID)
  case attempt(AttemptID)
  case node(NodeID)
  case event(EventID)
  /// A job's run has new points.
  case metrics(JobID)
  /// The connection was away: anything may have changed.
  case everything

  /// Reads a payload of channel `baton`, as in `job:17`; nil for one that this version does not know.
  init?(payload: String) {
    let parts = payload.split(separator: ":")
    guard parts.count == 2, let number = Int64(parts[1]) else { return nil }
    switch parts[0] {
    case "job": self = .job(JobID(number))
    case "lease": self = .lease(LeaseID(number))
    case "attempt": self = .attempt(AttemptID(number))
    case "node": self = .node(NodeID(number))
    case "event": self = .event(EventID(number))
    case "metrics": self = .metrics(JobID(number))
    default: return nil
    }
  }
}

/// Hands what the database says to everyone in this process who wants to hear it.
final class WakeHub: Sendable {
  private struct State {
    var next = 0
    var listeners: [Int: @Sendable (Change) -> Void] = [:]
  }

  private let state = Mutex(State())

  /// Calls `listener` for every change while the token that this returns is held.
  ///
  /// It must not block.
  func listen(_ listener: @escaping @Sendable (Change) -> Void) -> Token {
    let number = state.withLock { state in
      state.next += 1
      state.listeners[state.next] = listener
      return state.next
    }
    return Token(hub: self, number: number)
  }

  /// Hands `change` to all listeners.
  func publish(_ change: Change) {
    let listeners = state.withLock { Array($0.listeners.values) }
    for listener in listeners { listener(change) }
  }

  /// Changes as a sequence.
  ///
  /// A reader that falls behind by more than 1,000 gets `everything` among the newest.
  func changes() -> AsyncStream<Change> {
    AsyncStream(bufferingPolicy: .bufferingNewest(1000)) { continuation in
      let token = listen { change in
        if case .dropped = continuation.yield(change) { continuation.yield(.everything) }
      }
      continuation.onTermination = { _ in token.cancel() }
    }
  }

  /// Listens until it is let go.
  final class Token: Sendable {
    private let hub: WakeHub
    private let number: Int

    init(hub: WakeHub, number: Int) {
      self.hub = hub
      self.number = number
    }

    deinit { cancel() }

    func cancel() {
      _ = hub.state.withLock { $0.listeners.removeValue(forKey: number) }
    }
  }
}
