public import Domain

/// Which files come into which tar shard: WebDataset's layout.
///
/// Members of one sample have one path up to the first dot of their name, and lie side by side; samples are in the order
/// of these paths. The same files and the same size always make the same shards, so that packing can go on where it
/// stopped.
public struct ShardPlan: Hashable, Sendable {
  /// The members of each shard, in the order of the tar.
  public let shards: [[ManifestEntry]]

  /// Fills shards to about `shardBytes`; a sample is never torn, so one that is larger is a shard of its own.
  public init(_ manifest: Manifest, shardBytes: ByteCount) {
    var shards: [[ManifestEntry]] = []
    var shard: [ManifestEntry] = []
    var size: Int64 = 0
    for sample in Self.samples(of: manifest.entries) {
      let bytes = sample.reduce(Int64(0)) { $0 + Self.room(for: $1) }
      if !shard.isEmpty, size + bytes > shardBytes.bytes {
        shards.append(shard)
        shard = []
        size = 0
      }
      shard += sample
      size += bytes
    }
    if !shard.isEmpty { shards.append(shard) }
    self.shards = shards
  }

  /// Path up to the first dot of the name: what the members of a sample share.
  public static func sampleKey(_ path: String) -> Substring {
    let name = path.utf8.lastIndex(of: UInt8(ascii: "/")).map { path.utf8.index(after: $0) } ?? path.utf8.startIndex
    // A name that begins with a dot has no other beginning.
    let start = path.utf8[name...].first == UInt8(ascii: ".") ? path.utf8.index(after: name) : name
    return path[..<(path.utf8[start...].firstIndex(of: UInt8(ascii: ".")) ?? path.endIndex)]
  }

  private static func samples(of entries: [ManifestEntry]) -> [[ManifestEntry]] {
    let keyed = entries.map { (key: sampleKey($0.path), entry: $0) }.sorted { left, right in
      left.key.utf8.elementsEqual(right.key.utf8)
        ? left.entry < right.entry : left.key.utf8.lexicographicallyPrecedes(right.key.utf8)
    }
    var samples: [[ManifestEntry]] = []
    var last: Substring?
    for (key, entry) in keyed {
      if let last, last.utf8.elementsEqual(key.utf8) {
        samples[samples.count - 1].append(entry)
      } else {
        samples.append([entry])
      }
      last = key
    }
    return samples
  }

  /// What a file takes in a tar.
  private static func room(for entry: ManifestEntry) -> Int64 {
    let block = Int64(Tar.blockSize)
    return block + (entry.size + block - 1) / block * block
  }
}
