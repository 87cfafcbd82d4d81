package import Domain
import Glibc
import Synchronization

/// Writes one tar shard to a file, from objects in a store.
///
/// Holds 32 MiB of objects at most, and the shard on the disk: however many objects there are, and however large.
package struct ShardBuilder: Sendable {
  /// Smaller objects are fetched several at once.
  private static let smallMost: Int64 = 4 << 20
  private static let batchBytes: Int64 = 32 << 20
  private static let batchFiles = 256
  private static let lanes = 16
  private static let pool = BlockingPool(label: "baton.packing", width: 4)

  let store: any ObjectStore
  let key: @Sendable (ManifestEntry) -> String

  /// Reads the object of an entry from `store`, where `key` says.
  package init(store: any ObjectStore, key: @escaping @Sendable (ManifestEntry) -> String) {
    self.store = store
    self.key = key
  }

  /// Writes a tar of `entries`, in their order, to a new file at `path`, and says where its members are.
  ///
  /// Every object is compared with its entry: version, length, checksum.
  /// - Parameter progress: told the length of each object that is in the tar.
  /// - Throws: `ObjectStoreError`: `.changed` or `.checksumMismatch` for an object that is not what its entry says,
  ///   `.notFound`; `SystemError`; `CancellationError`. The file is then of no use.
  package func build(
    _ entries: [ManifestEntry], at path: String, progress: (Int64) async -> Void
  ) async throws -> ShardIndex {
    let tar = try await Self.pool.run { () throws(SystemError) in try TarFile(path) }
    var members: [ShardIndex.Member] = []
    var rest = entries[...]
    while let first = rest.first {
      try Task.checkCancellation()
      if first.size > Self.smallMost {
        rest.removeFirst()
        members.append(try await copy(first, to: tar))
        await progress(first.size)
      } else {
        let batch = Self.batch(of: rest)
        rest.removeFirst(batch.count)
        for (entry, bytes) in zip(batch, try await fetch(Array(batch))) {
          let member = try await Self.pool.run { () throws(SystemError) in
            let offset = try tar.begin(entry)
            try tar.write(bytes)
            try tar.end(entry)
            return ShardIndex.Member(
              file: ManifestEntry(path: entry.path, size: entry.size, sha256: ContentHash.of(bytes)), offset: offset)
          }
          members.append(member)
          await progress(entry.size)
        }
      }
    }
    try await Self.pool.run { () throws(SystemError) in try tar.write(Tar.end) }
    return ShardIndex(members: members)
  }

  private static func batch(of rest: ArraySlice<ManifestEntry>) -> ArraySlice<ManifestEntry> {
    var bytes: Int64 = 0
    return rest.prefix(batchFiles).prefix { entry in
      bytes += entry.size
      return entry.size <= smallMost && bytes <= batchBytes
    }
  }

  /// The contents of small objects, in order.
  private func fetch(_ entries: [ManifestEntry]) async throws -> [[UInt8]] {
    try await withThrowingTaskGroup(of: (Int, [UInt8]).self) { group in
      var contents = [[UInt8]](repeating: [], count: entries.count)
      for (position, entry) in entries.enumerated() {
        if position >= Self.lanes, let (done, bytes) = try await group.next() { contents[done] = bytes }
        group.addTask {
          let collected = ByteCollector(limit: Int(entry.size))
          do {
            try await store.get(key(entry), range: nil, ifTag: entry.tag) { try collected.add($0) }
          } catch is ByteCollector.Overflow {
            throw wrong(entry)
          }
          let bytes = collected.bytes
          guard Int64(bytes.count) == entry.size, entry.checksum.matches(bytes) != false else { throw wrong(entry) }
          return (position, bytes)
        }
      }
      for try await (done, bytes) in group { contents[done] = bytes }
      return contents
    }
  }

  /// A large object, piece by piece.
  private func copy(_ entry: ManifestEntry, to tar: TarFile) async throws -> ShardIndex.Member {
    let offset = try await Self.pool.run { () throws(SystemError) in try tar.begin(entry) }
    let measure = ContentMeasure()
    let hash = Mutex(ChecksumHash(like: entry.checksum))
    try await store.get(key(entry), range: nil, ifTag: entry.tag) { piece in
      measure.add(piece)
      hash.withLock { $0?.update(piece) }
      try await Self.pool.run { () throws(SystemError) in try tar.write(piece) }
    }
    let found = measure.result
    let checksum = hash.withLock { $0?.checksum }
    guard found.size == entry.size, checksum == nil || checksum == entry.checksum else { throw wrong(entry) }
    try await Self.pool.run { () throws(SystemError) in try tar.end(entry) }
    return ShardIndex.Member(
      file: ManifestEntry(path: entry.path, size: entry.size, sha256: found.sha256), offset: offset)
  }

  private func wrong(_ entry: ManifestEntry) -> ObjectStoreError {
    ObjectStoreError(
      .checksumMismatch, key: key(entry), reason: "it is not the \(entry.size) bytes of \(entry.checksum) any more")
  }
}

/// A tar that is being written; one call at a time.
private final class TarFile: Sendable {
  private let file: Descriptor
  private let path: String
  private let position = Mutex<Int64>(0)

  init(_ path: String) throws(SystemError) {
    self.path = path
    file = try Disk.open(path, O_WRONLY | O_CREAT | O_TRUNC)
  }

  func write(_ bytes: [UInt8]) throws(SystemError) {
    try Disk.write(bytes, to: file, path: path)
    position.withLock { $0 += Int64(bytes.count) }
  }

  /// Writes a header; gives where the content begins.
  func begin(_ entry: ManifestEntry) throws(SystemError) -> Int64 {
    try write(Tar.header(path: entry.path, size: entry.size))
    return position.withLock { $0 }
  }

  func end(_ entry: ManifestEntry) throws(SystemError) { try write(Tar.padding(after: entry.size)) }
}

extension ObjectSource {
  /// SHA-256 and length of what it has, read to its end.
  package func measured() async throws(ObjectStoreError) -> (sha256: String, size: Int64) {
    let source = self
    let summary = try await BlockingPool.hashing.run { () throws(ObjectStoreError) in
      try ContentSummary.of(source, key: "")
    }
    return (summary.sha256, summary.size)
  }
}

extension BlockingPool {
  fileprivate static let hashing = BlockingPool(label: "baton.packing.hash", width: 2)
}
