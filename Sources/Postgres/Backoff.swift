/// How long to wait between tries: doubling from `first` up to `limit`, each time a random part of it.
///
/// Chance and time are parameters, so that a test decides both.
public struct Backoff: Sendable {
  /// The longest wait before the second try.
  public var first: Duration
  /// No wait is longer.
  public var limit: Duration
  private let random: @Sendable () -> Double
  private let sleep: @Sendable (Duration) async throws -> Void

  /// A backoff between `first` and `limit`.
  ///
  /// `random` gives numbers in 0..<1. `sleep` waits, and throws `CancellationError` when its task is cancelled.
  public init(
    first: Duration = .milliseconds(50), limit: Duration = .seconds(5),
    random: @escaping @Sendable () -> Double = { .random(in: 0..<1) },
    sleep: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
  ) {
    self.first = first
    self.limit = limit
    self.random = random
    self.sleep = sleep
  }

  /// The wait after failure number `failures` (1 is the first): between half of the doubled wait and all of it.
  ///
  /// Half of it is kept so that a server that comes back is not asked in a tight loop by the lucky ones.
  public func delay(afterFailures failures: Int) -> Duration {
    let doublings = min(max(failures - 1, 0), 30)
    let full = min(first * (1 << doublings), limit)
    return full * (0.5 + 0.5 * random())
  }

  /// Waits for `delay`; throws `CancellationError` when the task is cancelled meanwhile.
  func wait(_ delay: Duration) async throws {
    try await sleep(delay)
  }
}
