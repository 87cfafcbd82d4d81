import Domain
import Wire

/// What can be removed from the disk to make room, and had again.
protocol Evictable {
  /// What it is called in the journal.
  var name: String { get }
  var bytes: ByteCount { get }
  var lastUse: Timestamp { get }
}

extension ReplicaReport: Evictable {}

extension EnvironmentReport: Evictable {
  /// No replica is called so.
  var name: String { "environments/\(key)" }
}

/// What makes room for others.
enum Eviction {
  /// The fewest of the least recently used that are enough; nil where all together are not.
  static func choose(missing: ByteCount, from candidates: [any Evictable]) -> [any Evictable]? {
    var chosen: [any Evictable] = []
    var freed = ByteCount.zero
    for candidate in candidates.sorted(by: { ($0.lastUse, $0.name) < ($1.lastUse, $1.name) }) where freed < missing {
      chosen.append(candidate)
      freed = freed + candidate.bytes
    }
    guard freed >= missing else { return nil }
    // The last may have made an earlier one unnecessary; the more recently used ones are spared first.
    for candidate in chosen.reversed() where freed - candidate.bytes >= missing {
      freed = freed - candidate.bytes
      chosen.removeAll { $0.name == candidate.name }
    }
    return chosen
  }
}
