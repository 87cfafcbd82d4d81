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

/// Hands the bytes of one file of a checkpoint to `receive`, from `offset` on, in order, chunk by chunk.
///
/// Whoever gets them compares the whole with the file's checksum.
/// - Throws: `CheckpointFault.missing` when a chunk is not in the store, `.corrupt` when it has another length; what
///   `receive` throws; `ObjectStoreError` when the store cannot tell.
public func readCheckpointFile(
  _ store: any ObjectStore, _ file: ChunkedFile, from offset: Int64 = 0,
  _ receive: @Sendable ([UInt8]) async throws -> Void
) async throws {
  var begin: Int64 = 0
  for chunk in file.chunks {
    let skipped = max(0, offset - begin)
    begin += chunk.size
    guard skipped < chunk.size else { continue }
    guard let info = try await store.head(chunk.key) else { throw CheckpointFault.missing(key: chunk.key) }
    guard info.size == chunk.size else { throw CheckpointFault.corrupt(key: chunk.key) }
    try await store.get(chunk.key, range: skipped > 0 ? skipped..<chunk.size : nil, ifTag: info.tag, receive)
  }
}
