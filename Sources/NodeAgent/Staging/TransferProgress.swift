import Domain
import Synchronization

/// How fast something goes, smoothed; time is an argument.
struct RateEstimate: Hashable, Sendable {
  /// What is older than this counts little.
  static let memory = TimeSpan.seconds(8)

  private var rate: Double?
  private var at: TimeSpan
  private var done: Int64

  /// Begins at `now`, with `done` behind it.
  init(at now: TimeSpan, done: Int64 = 0) {
    at = now
    self.done = done
  }

  /// `done` bytes are there at `now`.
  ///
  /// Getting ready is not slowness: the clock runs from the last look before the first byte.
  mutating func add(_ done: Int64, at now: TimeSpan) {
    guard done > 0 || self.done > 0 else {
      at = now
      return
    }
    let seconds = (now - at).seconds
    guard seconds > 0 else { return }
    let current = Double(done - self.done) / seconds
    // A sample counts by how long it is, so that it does not matter how often one is taken.
    let weight = 1 - 1 / (1 + seconds / Self.memory.seconds)
    rate = rate.map { $0 + (current - $0) * weight } ?? current
    at = now
    self.done = done
  }

  /// Bytes a second; nil before anything was measured.
  var bytesPerSecond: ByteCount? { rate.map { ByteCount(Int64(max(0, min($0, 9e17)))) } }

  /// How long `left` bytes take at this rate; nil while it stands still.
  func eta(left: Int64) -> TimeSpan? {
    guard let rate, rate >= 1 else { return nil }
    return .seconds(min(Double(max(0, left)) / rate, 1e9))
  }
}

/// Adds up what is there, and reports at most about once a second.
final class ProgressMeter: Sendable {
  /// How far it is.
  struct Report: Hashable, Sendable {
    var done: ByteCount
    var total: ByteCount
    var rate: ByteCount?
    var eta: TimeSpan?
  }

  private struct State {
    var done: Int64 = 0
    /// What came over the network, which alone tells how fast that is.
    var brought: Int64 = 0
    /// Whether some of that needed no store, since nodes held it before.
    var wasBorrowed = false
    /// What somebody else, who is waited for, has brought of it so far.
    var awaited: Int64 = 0
    /// What was reported last; nil before that.
    var told: Int64?
    var rate: RateEstimate
    var last: BootInstant

    mutating func report(of total: ByteCount, at now: BootInstant, rate: ByteCount?, eta: TimeSpan?) -> Report {
      last = now
      told = done + awaited
      return Report(done: ByteCount(done + awaited), total: total, rate: rate, eta: eta)
    }
  }

  private let state: Mutex<State>
  private let total: ByteCount
  private let start = BootInstant.now()
  private let report: @Sendable (Report) -> Void

  init(total: ByteCount, report: @escaping @Sendable (Report) -> Void) {
    self.total = total
    self.report = report
    state = Mutex(State(rate: RateEstimate(at: .zero), last: .now()))
  }

  /// What came, without what was there before; nil where nodes that held it gave some: the next time there may be none.
  var brought: ByteCount? { state.withLock { $0.wasBorrowed ? nil : ByteCount($0.brought) } }

  /// Counts bytes that were there before.
  func found(_ bytes: Int64) { add(bytes, brought: false) }

  /// Counts bytes that came; less than none where some have to come again.
  ///
  /// Borrowed is what came from another node where some held all of it before: perhaps from one of these.
  func brought(_ bytes: Int64, isBorrowed: Bool = false) {
    if isBorrowed { state.withLock { $0.wasBorrowed = true } }
    add(bytes, brought: true)
  }

  private func add(_ bytes: Int64, brought: Bool) {
    let now = BootInstant.now()
    let report: Report? = state.withLock { state in
      state.done += bytes
      if brought { state.brought += bytes }
      guard now - state.last >= .seconds(1) else { return nil }
      state.rate.add(state.brought, at: now - start)
      return state.report(
        of: total, at: now, rate: state.rate.bytesPerSecond, eta: state.rate.eta(left: total.bytes - state.done))
    }
    if let report { self.report(report) }
  }

  /// Somebody else, who is waited for, has brought `bytes` of what is missing; zero once that is over.
  ///
  /// Reported as what is there, and only where it is news.
  func awaits(_ bytes: Int64) {
    let now = BootInstant.now()
    let report: Report? = state.withLock { state in
      state.awaited = bytes
      guard now - state.last >= .seconds(1), state.done + bytes != state.told else { return nil }
      return state.report(of: total, at: now, rate: nil, eta: nil)
    }
    if let report { self.report(report) }
  }
}
