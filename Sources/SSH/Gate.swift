import Synchronization

/// Lets at most so many tasks be inside at once; the others wait in order.
final class Gate: Sendable {
  private struct State {
    var free: Int
    var nextTicket = 0
    var waiting: [(ticket: Int, waiter: CheckedContinuation<Void, any Error>)] = []
    /// Tickets cancelled before they began to wait.
    var cancelled: Set<Int> = []
  }

  private let state: Mutex<State>

  init(places: Int) {
    state = Mutex(State(free: places))
  }

  /// Waits for a place.
  ///
  /// Throws `CancellationError` and takes none when cancelled.
  func enter() async throws {
    let ticket = state.withLock {
      $0.nextTicket += 1
      return $0.nextTicket
    }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { waiter in
        let answer: Result<Void, any Error>? = state.withLock {
          if $0.cancelled.remove(ticket) != nil { return .failure(CancellationError()) }
          if $0.free > 0 {
            $0.free -= 1
            return .success(())
          }
          $0.waiting.append((ticket, waiter))
          return nil
        }
        if let answer { waiter.resume(with: answer) }
      }
    } onCancel: {
      let waiter = state.withLock {
        guard let index = $0.waiting.firstIndex(where: { $0.ticket == ticket }) else {
          $0.cancelled.insert(ticket)
          return nil as CheckedContinuation<Void, any Error>?
        }
        return $0.waiting.remove(at: index).waiter
      }
      waiter?.resume(throwing: CancellationError())
    }
    _ = state.withLock { $0.cancelled.remove(ticket) }
  }

  /// Gives the place back.
  func leave() {
    let waiter = state.withLock {
      guard !$0.waiting.isEmpty else {
        $0.free += 1
        return nil as CheckedContinuation<Void, any Error>?
      }
      return $0.waiting.removeFirst().waiter
    }
    waiter?.resume()
  }
}
