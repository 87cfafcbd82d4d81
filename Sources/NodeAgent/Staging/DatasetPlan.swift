import Domain
import ObjectStorage
import Wire

/// What of a data set comes to this node, and from which objects.
struct DatasetPlan: Sendable {
  /// What will be in the folder.
  var manifest: Manifest
  var transfer: TransferPlan

  /// Reads what the store says of a data set, and checks that it is that.
  ///
  /// Throws `StagingFailure.corrupt` where it is not, and what the store throws.
  static func read(
    _ order: DatasetOrder, _ name: ReplicaName, _ reader: StoreReader, pieceSize: Int = TransferPlan.pieceSize
  ) async throws -> DatasetPlan {
    let manifest = try await manifest(of: order, reader)
    guard let packKey = order.packKey else {
      guard order.mode != .shards else {
        throw StagingFailure.failed(
          "\(order.name) is not packed, so there are no shards of it: pack it, or stage it as a copy")
      }
      let share = name.share
      let entries = manifest.entries.enumerated().filter { $0.offset % (share?.count ?? 1) == share?.index ?? 0 }
      return try plan(entries.map(\.element), pieceSize) { entry in
        TransferFile(
          path: entry.path, size: entry.size, checksum: entry.checksum,
          key: order.source.map { $0.prefix + entry.path } ?? ObjectLayout.blob(sha256: entry.sha256), tag: entry.tag)
      }
    }
    let pack = try await pack(packKey, of: order, reader)
    if order.mode == .shards {
      return try plan(pack.shards.flatMap { [$0.tar, $0.index] }, pieceSize) { entry in
        TransferFile(
          path: entry.path, size: entry.size, checksum: entry.checksum,
          key: ObjectLayout.blob(sha256: entry.sha256))
      }
    }
    let wanted = pack.shards.enumerated().filter { $0.offset % (name.share?.count ?? 1) == name.share?.index ?? 0 }
    let files = try await unpacked(wanted.map(\.element), manifest, reader)
    // What was packed was measured: better known than what a store tells of objects that are read in place.
    let entries = files.compactMap { file in
      file.checksum.map { ManifestEntry(path: file.path, size: file.size, checksum: $0) }
    }
    guard let share = Manifest(entries), share.entries.count == files.count,
      name.share != nil || files.count == manifest.entries.count
    else { throw StagingFailure.corrupt(key: packKey) }
    // In the order of the tars, so that neighbours there are read together.
    return DatasetPlan(manifest: share, transfer: TransferPlan(files, pieceSize: pieceSize))
  }

  private static func plan(
    _ entries: [ManifestEntry], _ pieceSize: Int, _ file: (ManifestEntry) -> TransferFile
  ) throws -> DatasetPlan {
    guard let manifest = Manifest(entries) else { throw StagingFailure.failed("a data set with unsafe paths") }
    return DatasetPlan(manifest: manifest, transfer: TransferPlan(manifest.entries.map(file), pieceSize: pieceSize))
  }

  private static func manifest(of order: DatasetOrder, _ reader: StoreReader) async throws -> Manifest {
    let bytes = try await reader.whole(order.manifestKey)
    guard let manifest = try? Codec.decode(Manifest.self, bytes),
      ContentHash.of(Array(manifest.canonicalText.utf8)) == order.contentID
    else { throw StagingFailure.corrupt(key: order.manifestKey) }
    return manifest
  }

  private static func pack(_ key: String, of order: DatasetOrder, _ reader: StoreReader) async throws -> PackManifest {
    let bytes = try await reader.whole(key)
    guard let pack = try? Codec.decode(PackManifest.self, bytes), pack.contentID == order.contentID else {
      throw StagingFailure.corrupt(key: key)
    }
    return pack
  }

  /// The members of `shards` as plain files: each is read from where it lies in its tar, and no tar comes to the disk.
  private static func unpacked(
    _ shards: [PackManifest.Shard], _ manifest: Manifest, _ reader: StoreReader
  ) async throws -> [TransferFile] {
    let known = Dictionary(uniqueKeysWithValues: manifest.entries.map { ($0.path, $0) })
    var files: [TransferFile] = []
    for shard in shards {
      let key = ObjectLayout.blob(sha256: shard.index.sha256)
      let bytes = try await reader.whole(key)
      guard ContentHash.of(bytes) == shard.index.sha256,
        let index = ShardIndex(parsing: String(decoding: bytes, as: UTF8.self))
      else { throw StagingFailure.corrupt(key: key) }
      for member in index.members {
        // The manifest is what the content id stands for; an index only says where.
        guard let entry = known[member.file.path], entry.allows(member.file),
          member.offset + member.file.size <= shard.tar.size
        else {
          throw StagingFailure.corrupt(key: key)
        }
        files.append(
          TransferFile(
            path: member.file.path, size: member.file.size, checksum: member.file.checksum,
            key: ObjectLayout.blob(sha256: shard.tar.sha256), start: member.offset))
      }
    }
    return files
  }
}

extension ManifestEntry {
  /// Whether a packed file can be this one: a SHA-256 has to be the same, and another checksum was compared by who packed.
  fileprivate func allows(_ packed: ManifestEntry) -> Bool {
    guard packed.size == size, case .sha256 = packed.checksum else { return false }
    if case .sha256 = checksum { return packed.checksum == checksum }
    return true
  }
}

extension StoreReader {
  /// The content of an object that is known to be small.
  func whole(_ key: String) async throws -> [UInt8] {
    try await retrying(tries: tries) { try await store.bytes(key, limit: 1 << 30) }
  }
}
