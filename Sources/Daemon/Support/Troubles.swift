/// What fails again and again, by what it concerns: when to try it next, and whether people know.
///
/// The first pause is doubled with every failure in a row, up to the longest.
struct Troubles<Concerned: Hashable & Sendable>: Sendable {
  private struct Trouble {
    var failures: Int
    var nextTry: ContinuousClock.Instant
  }

  private let firstPause: Duration
  private let longestPause: Duration
  private var troubles: [Concerned: Trouble] = [:]

  init(firstPause: Duration = .seconds(1), longestPause: Duration = .seconds(60)) {
    self.firstPause = firstPause
    self.longestPause = longestPause
  }

  /// It failed; `jitter`, from 0 to 1, takes up to half of the pause away, so that not all come back at once.
  ///
  /// Returns whether this is news: it worked before.
  mutating func failed(_ concerned: Concerned, at now: ContinuousClock.Instant, jitter: Double) -> Bool {
    let failures = (troubles[concerned]?.failures ?? 0) + 1
    let pause = min(firstPause * (1 << min(failures - 1, 16)), longestPause)
    troubles[concerned] = Trouble(failures: failures, nextTry: now + pause * (1 - jitter / 2))
    return failures == 1
  }

  /// It worked, or is gone.
  mutating func isOver(_ concerned: Concerned) { troubles[concerned] = nil }

  /// Whatever is not among `living` is gone.
  mutating func keep(_ living: Set<Concerned>) { troubles = troubles.filter { living.contains($0.key) } }

  /// Whether it is to be left alone for now.
  func isResting(_ concerned: Concerned, at now: ContinuousClock.Instant) -> Bool {
    troubles[concerned].map { $0.nextTry > now } ?? false
  }

  /// When the next of those that rest is to be tried; nil where none rests.
  func nextTry(after now: ContinuousClock.Instant) -> ContinuousClock.Instant? {
    troubles.values.map(\.nextTry).filter { $0 > now }.min()
  }

  /// All that is in trouble.
  var concerned: Set<Concerned> { Set(troubles.keys) }
}
