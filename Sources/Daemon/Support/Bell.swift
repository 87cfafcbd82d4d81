import Synchronization

/// Wakes one loop.
///
/// Rings that come while the loop is busy count as one: it looks at everything each time anyway.
final class Bell: Sendable {
  private struct State {
    var rung = false
    var sleeper: CheckedContinuation<Void, Never>?
  }

  private let state = Mutex(State())

  /// Wakes the sleeper, or keeps the next one from sleeping.
  func ring() {
    let sleeper = state.withLock { state in
      defer { state.sleeper = nil }
      state.rung = state.sleeper == nil
      return state.sleeper
    }
    sleeper?.resume()
  }

  /// Returns at the next ring, after `longest`, or when the task is cancelled.
  ///
  /// For one task at a time.
  func sleep(atMost longest: Duration) async {
    let alarm = Task {
      do { try await Task.sleep(for: longest) } catch { return }
      self.ring()
    }
    defer { alarm.cancel() }
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let isAwake = state.withLock { state in
          if state.rung || Task.isCancelled {
            state.rung = false
            return true
          }
          state.sleeper = continuation
          return false
        }
        if isAwake { continuation.resume() }
      }
    } onCancel: {
      ring()
    }
  }
}
