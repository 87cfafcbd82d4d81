/// Which checkpoint is stored next: one at a time, and of those that wait only the newest is worth it.
struct CheckpointQueue: Hashable, Sendable {
  /// The one that is being stored.
  private(set) var current: LocalCheckpoint?
  /// Those that wait, oldest first.
  private(set) var waiting: [LocalCheckpoint] = []
  /// Parts of a gang are not skipped while it runs: each node would skip others, and no step would be whole.
  var keepsAll: Bool

  init(keepsAll: Bool) { self.keepsAll = keepsAll }

  var isEmpty: Bool { current == nil && waiting.isEmpty }

  mutating func add(_ checkpoint: LocalCheckpoint) {
    if !keepsAll { waiting = [] }
    waiting.append(checkpoint)
  }

  /// Begins the next one, if nothing is under way.
  mutating func begin() -> LocalCheckpoint? {
    guard current == nil, !waiting.isEmpty else { return nil }
    current = waiting.removeFirst()
    return current
  }

  mutating func finished() { current = nil }

  /// Once no more will come, only the newest counts; true where the one under way should give way to it.
  mutating func closeUp() -> Bool {
    keepsAll = false
    waiting = Array(waiting.suffix(1))
    return current != nil && !waiting.isEmpty
  }
}
