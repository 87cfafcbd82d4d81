import Domain
import ObjectStorage
import Synchronization

/// Holds the chunks of one checkpoint back to a pace, until somebody says that there is no time for that.
///
/// Knows what that cost: the time in which all that went on was waiting.
final class UploadLimiter: Sendable {
  private struct State {
    var pace: UploadPace?
    var interval: TimeSpan?
    var working = 0
    var waiting = 0
    var idleSince: BootInstant?
    var paused = TimeSpan.zero

    mutating func note(_ now: BootInstant) {
      if let since = idleSince { paused = paused + (now - since) }
      idleSince = working == 0 && waiting > 0 ? now : nil
    }
  }

  /// Waits in steps, so that a release is heard soon.
  private static let step = TimeSpan(microseconds: 100_000)

  private let state: Mutex<State>
  private let now: @Sendable () -> BootInstant
  private let sleep: @Sendable (TimeSpan) async throws -> Void

  /// Holds back to what fits between saves every `interval`; nil holds nothing back.
  init(
    interval: TimeSpan?, now: @escaping @Sendable () -> BootInstant = { .now() },
    sleep: @escaping @Sendable (TimeSpan) async throws -> Void = {
      try await Task.sleep(for: .microseconds($0.microseconds))
    }
  ) {
    state = Mutex(State(interval: interval))
    self.now = now
    self.sleep = sleep
  }

  /// Whether it still holds back.
  var isGentle: Bool { state.withLock { $0.interval != nil } }

  /// How long nothing was done but wait.
  var paused: TimeSpan {
    state.withLock { state in
      state.note(now())
      return state.paused
    }
  }

  /// `total` bytes are to be sent from now on.
  func begins(_ total: ByteCount) {
    state.withLock { state in
      let begun = TimeSpan(microseconds: now().microseconds)
      state.pace = state.interval.map { UploadPace(total: total, interval: $0, begun: begun) }
    }
  }

  /// The end is near: nobody waits any more.
  func release() {
    state.withLock {
      $0.interval = nil
      $0.pace = nil
    }
  }

  /// Waits until `bytes` may be sent; throws `CancellationError`.
  func admit(_ bytes: Int64) async throws {
    enter()
    defer { leave() }
    while let pause = pause(bytes) { try await sleep(min(pause, Self.step)) }
  }

  /// Does something that is no waiting.
  func working<Value>(_ body: () async throws -> Value) async rethrows -> Value {
    change { $0.working += 1 }
    defer { change { $0.working -= 1 } }
    return try await body()
  }

  private func enter() { change { $0.waiting += 1 } }
  private func leave() { change { $0.waiting -= 1 } }

  private func change(_ body: (inout State) -> Void) {
    state.withLock { state in
      state.note(now())
      body(&state)
      state.note(now())
    }
  }

  /// How long to wait; nil where `bytes` may be sent, and are noted.
  private func pause(_ bytes: Int64) -> TimeSpan? {
    state.withLock { state in
      guard let pause = state.pace?.pause(at: TimeSpan(microseconds: now().microseconds)), pause > .zero else {
        state.pace?.sends(bytes)
        return nil
      }
      return pause
    }
  }
}
