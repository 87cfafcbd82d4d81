/// How often, how long and how patiently an operation is tried.
///
/// Pauses grow twofold from `firstPause` to `longestPause`, and each is shortened by chance to anything above nothing
/// ("full jitter"), so that many nodes that failed together do not come back together.
public struct StoreRetryPolicy: Hashable, Sendable {
  /// Tries in a row without progress, the first one among them.
  public var tries: Int
  /// The longest the first pause can be.
  public var firstPause: Duration
  /// The longest any pause can be, but for one that the store asks for.
  public var longestPause: Duration
  /// No try begins when this much has passed without progress; a pause that would go past it is not taken.
  public var budget: Duration

  /// A policy; what is not said suits one operation on a store that is slow today.
  public init(
    tries: Int = 8, firstPause: Duration = .milliseconds(200), longestPause: Duration = .seconds(10),
    budget: Duration = .seconds(60)
  ) {
    self.tries = tries
    self.firstPause = firstPause
    self.longestPause = longestPause
    self.budget = budget
  }

  /// The pause after failure number `failures`, counted from 1.
  ///
  /// - Parameter random: from 0 to 1.
  public func pause(afterFailure failures: Int, random: Double) -> Duration {
    let doublings = min(30, max(0, failures - 1))
    let longest = min(longestPause, firstPause * (1 << doublings))
    return longest * min(1, max(0, random))
  }
}

/// What is left of the patience with one operation.
public struct RetryBudget: Hashable, Sendable {
  /// The rule.
  public let policy: StoreRetryPolicy
  /// Failures since the last progress.
  public private(set) var failures = 0
  private var since: Duration

  /// An operation that begins at `now`, on a clock that only goes forward.
  public init(_ policy: StoreRetryPolicy, now: Duration) {
    self.policy = policy
    since = now
  }

  /// How long to wait before the next try; nil when there is to be none.
  ///
  /// - Parameters:
  ///   - asked: what the store asked for (`Retry-After`): the pause is at least that.
  ///   - random: from 0 to 1.
  public mutating func pause(asked: Duration? = nil, now: Duration, random: Double) -> Duration? {
    failures += 1
    guard failures < policy.tries else { return nil }
    let pause = max(asked ?? .zero, policy.pause(afterFailure: failures, random: random))
    return now - since + pause <= policy.budget ? pause : nil
  }

  /// How long nothing has come of it.
  public func waited(until now: Duration) -> Duration { now - since }

  /// Bytes arrived: patience begins anew.
  public mutating func progressed(now: Duration) {
    failures = 0
    since = now
  }
}

/// Time and chance, as an operation sees them.
public struct Pacing: Sendable {
  /// A clock that only goes forward.
  public var now: @Sendable () -> Duration
  /// From 0 to 1.
  public var random: @Sendable () -> Double
  /// Waits; throws `CancellationError` when the task is cancelled.
  public var sleep: @Sendable (Duration) async throws -> Void
  /// Hears why an operation is tried again, and for how long nothing will have come of it by then.
  public var hear: @Sendable (ObjectStoreError, Duration) -> Void

  /// A clock, chance and patience of one's own.
  public init(
    now: @escaping @Sendable () -> Duration, random: @escaping @Sendable () -> Double,
    sleep: @escaping @Sendable (Duration) async throws -> Void,
    hear: @escaping @Sendable (ObjectStoreError, Duration) -> Void = { _, _ in }
  ) {
    self.now = now
    self.random = random
    self.sleep = sleep
    self.hear = hear
  }

  /// The machine's.
  public static let live = Pacing(
    now: { ContinuousClock.now - start }, random: { Double.random(in: 0...1) },
    sleep: { try await Task.sleep(for: $0) })

  private static let start = ContinuousClock.now
}

/// Tries again, ever more slowly, what a store may do later; up to `tries` times, or until the task is cancelled.
///
/// For callers with more patience than the stores themselves, which give up on an operation after `StoreRetryPolicy.budget`.
package func retrying<Value: Sendable>(
  tries: Int = .max, pacing: Pacing = .live, _ body: () async throws -> Value
) async throws -> Value {
  let policy = StoreRetryPolicy(tries: tries, longestPause: .seconds(5), budget: .seconds(1 << 40))
  var budget = RetryBudget(policy, now: pacing.now())
  while true {
    let failure: ObjectStoreError
    do {
      return try await body()
    } catch let error as ObjectStoreError {
      failure = error
    }
    let now = pacing.now()
    guard failure.isWorthRetrying, let pause = budget.pause(now: now, random: pacing.random()) else { throw failure }
    pacing.hear(failure, budget.waited(until: now) + pause)
    try await pacing.sleep(pause)
  }
}
