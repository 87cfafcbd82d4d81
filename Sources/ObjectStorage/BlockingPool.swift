import Dispatch
import Synchronization

/// A few threads of its own for calls that block, so that Swift's cooperative pool never waits for a disk.
package final class BlockingPool: Sendable {
  private struct State {
    var waiting: [@Sendable () -> Void] = []
    var running = 0
  }

  private let state = Mutex(State())
  private let label: String
  private let width: Int

  /// A pool that runs at most `width` calls at once; further ones wait their turn.
  package init(label: String, width: Int) {
    self.label = label
    self.width = width
  }

  /// Runs `work` on a thread of the pool; cancelling does not interrupt it.
  package func run<Value: Sendable, Failure: Error>(
    _ work: @escaping @Sendable () throws(Failure) -> Value
  ) async throws(Failure) -> Value {
    let result: Result<Value, Failure> = await withCheckedContinuation { continuation in
      submit { continuation.resume(returning: Result { () throws(Failure) in try work() }) }
    }
    return try result.get()
  }

  private func submit(_ job: @escaping @Sendable () -> Void) {
    let starts = state.withLock { state in
      state.waiting.append(job)
      guard state.running < width else { return false }
      state.running += 1
      return true
    }
    // A serial queue gets a thread at once. A concurrent one would get as many as there are processors, and where all of
    // them block, only one more about every second.
    if starts { DispatchQueue(label: label).async { self.drain() } }
  }

  private func drain() {
    while let job = next() { job() }
  }

  private func next() -> (@Sendable () -> Void)? {
    state.withLock { state in
      guard !state.waiting.isEmpty else {
        state.running -= 1
        return nil
      }
      return state.waiting.removeFirst()
    }
  }
}
