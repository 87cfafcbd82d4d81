public import Domain

/// Reads the manifest of the checkpoint at `prefix`, and no file of it.
///
/// - Parameter sha256: what the bytes of `manifest.json` have to be.
/// - Throws: `CheckpointFault` when there is none, or another; `ObjectStoreError` when the store cannot tell.
public func readCheckpointManifest(
  _ store: any ObjectStore, prefix: String, sha256: String
) async throws -> CheckpointManifest {
  let key = ObjectLayout.manifest(checkpoint: prefix)
  guard try await store.head(key) != nil else { throw CheckpointFault.unfinished }
  let bytes = try await store.bytes(key)
  guard ContentHash.of(bytes) == sha256 else {
    throw CheckpointFault.badManifest("it is another one than was committed")
  }
  do { return try CheckpointManifest(decoding: bytes) } catch { throw CheckpointFault.badManifest("\(error)") }
}

/// Hands the bytes of one file of the checkpoint at `prefix` to `receive`, from `offset` on, in order.
///
/// Whoever gets them compares the whole with the entry's SHA-256.
/// - Throws: `CheckpointFault.missing` when it is not in the store, `.corrupt` when it has another length; what
///   `receive` throws; `ObjectStoreError` when the store cannot tell.
public func readCheckpointFile(
  _ store: any ObjectStore, prefix: String, entry: ManifestEntry, from offset: Int64 = 0,
  _ receive: @Sendable ([UInt8]) async throws -> Void
) async throws {
  let key = ObjectLayout.data(checkpoint: prefix, path: entry.path)
  guard let info = try await store.head(key) else { throw CheckpointFault.missing(key: key) }
  guard info.size == entry.size else { throw CheckpointFault.corrupt(key: key) }
  guard offset < entry.size else { return }
  try await store.get(key, range: offset > 0 ? offset..<entry.size : nil, ifTag: info.tag, receive)
}
