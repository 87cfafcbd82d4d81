/// The names of the statements that a connection has prepared, by their text; the least recently used go first.
struct StatementCache {
  private let limit: Int
  private var entries: [String: (name: String, lastUse: UInt64)] = [:]
  private var uses: UInt64 = 0
  private var created: UInt64 = 0
  /// Names that the server still knows and this cache does not.
  private(set) var evicted: [String] = []

  init(limit: Int) {
    self.limit = max(limit, 1)
  }

  var count: Int { entries.count }

  mutating func name(for text: String) -> String? {
    guard let entry = entries[text] else { return nil }
    uses += 1
    entries[text] = (entry.name, uses)
    return entry.name
  }

  /// A name that no statement of this connection ever had.
  mutating func newName() -> String {
    created += 1
    return "baton_\(created)"
  }

  mutating func insert(_ name: String, for text: String) {
    if entries.count >= limit, let oldest = entries.min(by: { $0.value.lastUse < $1.value.lastUse }) {
      entries[oldest.key] = nil
      evicted.append(oldest.value.name)
    }
    uses += 1
    entries[text] = (name, uses)
  }

  mutating func remove(_ text: String) {
    if let entry = entries.removeValue(forKey: text) { evicted.append(entry.name) }
  }

  mutating func takeEvicted() -> [String] {
    defer { evicted = [] }
    return evicted
  }
}
