import ObjectStorage

/// Which checkpoint is stored next: one at a time.
///
/// While ranks run, of those that wait only the newest is worth it; a gang stores all in turn, since each node would
/// skip others and no step would be whole. At the end (README.md, "The end of a gang") the newest goes first.
struct CheckpointQueue: Hashable, Sendable {
  /// What came of the one under way.
  enum Ending: Hashable {
    /// The step is whole in the store.
    case stored
    /// What this node has of it is in the store.
    case partStored
    /// It cannot be used.
    case rejected
    /// It was told to stop.
    case cancelled
  }

  /// The one that is being stored.
  private(set) var current: LocalCheckpoint?
  /// Those that wait: in the order they came, and once closed by step.
  private(set) var waiting: [LocalCheckpoint] = []
  /// Whether no more will come.
  private(set) var isClosed = false
  /// Steps whose parts were stored since it was closed: perhaps they are whole by now.
  private(set) var stepsInParts: [Int] = []
  private var givesWay = false
  private let keepsAll: Bool

  init(keepsAll: Bool) { self.keepsAll = keepsAll }

  var isEmpty: Bool { current == nil && waiting.isEmpty }

  /// Takes one more; returns those that are not worth it any more, which may be that one.
  mutating func add(_ checkpoint: LocalCheckpoint) -> [LocalCheckpoint] {
    waiting.append(checkpoint)
    if isClosed { waiting.sort { $0.step < $1.step } }
    guard !keepsAll, !isClosed, let newest = waiting.map(\.step).max() else { return [] }
    // By its step: what a program saved before may come to light after what it saved later.
    let skipped = waiting.filter { $0.step < newest }
    waiting.removeAll { $0.step < newest }
    return skipped
  }

  /// Begins the next one, if nothing is under way.
  mutating func begin() -> LocalCheckpoint? {
    guard current == nil, !waiting.isEmpty else { return nil }
    current = isClosed ? waiting.removeLast() : waiting.removeFirst()
    return current
  }

  /// The one under way is through; returns those that need no more work, itself first.
  ///
  /// Empty where it gave way: its turn comes again, should the newer one be of no use.
  mutating func finished(_ ending: Ending) -> [LocalCheckpoint] {
    guard let done = current else { return [] }
    let gaveWay = givesWay && ending == .cancelled
    current = nil
    givesWay = false
    guard isClosed else { return [done] }
    if gaveWay {
      waiting = (waiting + [done]).sorted { $0.step < $1.step }
      return []
    }
    if ending == .partStored { stepsInParts.append(done.step) }
    guard ending == .stored else { return [done] }
    let older = waiting.filter { $0.step < done.step }
    waiting.removeAll { $0.step < done.step }
    return [done] + older
  }

  /// No more will come; true where the one under way has to be cancelled, to give way to the newest.
  ///
  /// A part does not: another node may have stored its part of that step, and have none of a newer one. Nor does
  /// anything where there is no time for another.
  mutating func closeUp(hasTimeForAnother: Bool) -> Bool {
    isClosed = true
    waiting.sort { $0.step < $1.step }
    guard let current, let newest = waiting.last, newest.step > current.step else { return false }
    givesWay = hasTimeForAnother && current.layout == .whole && newest.layout == .whole
    return givesWay
  }
}
