import Domain
import Foundation
import ObjectStorage

/// Files whose content follows from a seed and their number.
struct SyntheticSet: Sendable {
  /// Names it in keys and figures.
  var name: String
  var count: Int
  var size: Int

  var total: Int64 { Int64(count) * Int64(size) }
  /// Where its objects are in the container.
  var prefix: String { "\(name)/" }

  /// A thousand files a folder.
  func path(_ index: Int) -> String {
    func padded(_ number: Int, _ width: Int) -> String {
      let digits = String(number)
      return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
    return "c\(padded(index / 1000, 4))/f\(padded(index, 7)).bin"
  }

  /// Bytes that do not compress, the same at every call (SplitMix64).
  func content(_ index: Int) -> [UInt8] {
    var state = UInt64(index) &+ UInt64(size) &* 0x9e37_79b9_7f4a_7c15
    return [UInt8](unsafeUninitializedCapacity: size + 8) { buffer, used in
      var offset = 0
      while offset < size {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        UnsafeMutableRawBufferPointer(buffer).storeBytes(
          of: mixed ^ (mixed >> 31), toByteOffset: offset, as: UInt64.self)
        offset += 8
      }
      used = size
    }
  }
}

/// Brings synthetic sets into a store, with what describes them.
struct SetWriter: Sendable {
  let store: any ObjectStore
  let progress: Progress
  /// Requests at once.
  var lanes = 8

  /// A version as an agent is told of it, but for where its objects are.
  struct Version: Sendable {
    var contentID: String
    var manifestKey: String
    var packKey: String?
    var total: ByteCount
  }

  /// Puts each file as an object `prefix` + path, and the manifest.
  func plain(_ set: SyntheticSet) async throws -> Version {
    progress.say("putting \(set.count) objects of \(set.size) bytes")
    var entries: [ManifestEntry] = []
    try await withThrowingTaskGroup(of: ManifestEntry.self) { group in
      for index in 0..<set.count {
        if index >= (set.size > 1 << 20 ? 1 : lanes), let entry = try await group.next() { entries.append(entry) }
        group.addTask {
          let bytes = set.content(index)
          let sha256 = ContentHash.of(bytes)
          try await store.put(set.prefix + set.path(index), from: .bytes(bytes), sha256: sha256)
          return ManifestEntry(path: set.path(index), size: Int64(set.size), sha256: sha256)
        }
      }
      for try await entry in group { entries.append(entry) }
    }
    return try await describe(entries)
  }

  /// Packs the files into tars of about `shardSize` bytes and puts those, with indexes, pack and manifest.
  func packed(_ set: SyntheticSet, shardSize: Int64 = 64 << 20, scratch: String) async throws -> Version {
    progress.say("packing \(set.count) files of \(set.size) bytes")
    var entries: [ManifestEntry] = []
    entries.reserveCapacity(set.count)
    var shards: [PackManifest.Shard] = []
    while entries.count < set.count {
      let (shard, members) = try await putShard(set, from: entries.count, number: shards.count, shardSize, scratch)
      shards.append(shard)
      entries += members
    }
    var version = try await describe(entries)
    let key = "packs/\(version.contentID).json"
    let pack = PackManifest(contentID: version.contentID, shards: shards)
    try await store.put(key, from: .bytes(Array(try JSONEncoder().encode(pack))))
    version.packKey = key
    return version
  }

  private func putShard(
    _ set: SyntheticSet, from first: Int, number: Int, _ shardSize: Int64, _ scratch: String
  ) async throws -> (PackManifest.Shard, [ManifestEntry]) {
    let file = "\(scratch)/shard.tar"
    try Data().write(to: URL(fileURLWithPath: file))
    let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: file))
    var hash = ContentHash()
    var length: Int64 = 0
    func write(_ bytes: [UInt8]) throws {
      try handle.write(contentsOf: bytes)
      hash.update(bytes)
      length += Int64(bytes.count)
    }
    var members: [ShardIndex.Member] = []
    var index = first
    while index < set.count, length < shardSize {
      let bytes = set.content(index)
      let path = set.path(index)
      let header = Tar.header(path: path, size: Int64(bytes.count))
      members.append(
        ShardIndex.Member(
          file: ManifestEntry(path: path, size: Int64(bytes.count), sha256: ContentHash.of(bytes)),
          offset: length + Int64(header.count)))
      try write(header + bytes + Tar.padding(after: Int64(bytes.count)))
      index += 1
    }
    try write(Tar.end)
    try handle.close()
    let digits = String(number)
    let name = "shard-\(String(repeating: "0", count: max(0, 6 - digits.count)))\(digits)"
    let text = Array(ShardIndex(members: members).text.utf8)
    let shard = PackManifest.Shard(
      tar: ManifestEntry(path: "\(name).tar", size: length, sha256: hash.hex()),
      index: ManifestEntry(path: "\(name).idx", size: Int64(text.count), sha256: ContentHash.of(text)))
    try await store.put(
      ObjectLayout.blob(sha256: shard.tar.sha256), from: .file(path: file), sha256: shard.tar.sha256)
    try await store.put(ObjectLayout.blob(sha256: shard.index.sha256), from: .bytes(text))
    return (shard, members.map(\.file))
  }

  private func describe(_ entries: [ManifestEntry]) async throws -> Version {
    guard let manifest = Manifest(entries) else { throw BenchFailure("a set with paths that are not safe") }
    let id = ContentHash.of(Array(manifest.canonicalText.utf8))
    let key = ObjectLayout.datasetManifest(contentID: id)
    try await store.put(key, from: .bytes(Array(try JSONEncoder().encode(manifest))))
    return Version(contentID: id, manifestKey: key, packKey: nil, total: manifest.total)
  }
}
