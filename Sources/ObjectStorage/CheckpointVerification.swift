package import Domain
import Synchronization

/// Why objects in a store are no checkpoint.
public enum CheckpointFault: Error, Hashable, Sendable {
  /// There is no `manifest.json`: it was never finished.
  case unfinished
  /// `manifest.json` cannot be read, or speaks of another checkpoint.
  case badManifest(String)
  /// A file is not in the store.
  case missing(key: String)
  /// A file is not what the manifest says.
  case corrupt(key: String)
}

extension CheckpointFault: CustomStringConvertible {
  /// What is wrong, for people.
  public var description: String {
    switch self {
    case .unfinished: "it was never finished: there is no manifest.json"
    case .badManifest(let reason): "its manifest.json is of no use: \(reason)"
    case .missing(let key): "its object \(key) is not in the store"
    case .corrupt(let key): "its object \(key) is not what the manifest says"
    }
  }
}

/// A checkpoint that was read from the store and is whole.
public struct VerifiedCheckpoint: Hashable, Sendable {
  /// SHA-256 of the bytes of `manifest.json`.
  public var manifestSHA256: String
  /// What they say.
  public var manifest: CheckpointManifest
}

/// Of a checkpoint, so many files are read at once.
private let filesAtOnce = 4
/// So often in a row a manifest is read that is not what the store says it is.
private let manifestDoubts = 3

/// Reads everything of the checkpoint at `prefix`, and compares it with its manifest.
///
/// - Parameter progress: told after each file how many bytes of it were read.
/// - Throws: `CheckpointFault` when it is no checkpoint; `ObjectStoreError` when the store cannot tell.
public func verifyCheckpoint(
  _ store: any ObjectStore, prefix: String, progress: (Int64) async -> Void = { _ in }
) async throws -> VerifiedCheckpoint {
  let bytes = try await manifestBytes(store, prefix: prefix)
  let manifest = try decodedManifest(bytes)
  let named = ObjectLayout.checkpoint(run: manifest.run, step: manifest.step, number: manifest.number)
  guard named == prefix else { throw CheckpointFault.badManifest("it is of \(named)") }
  try await withThrowingTaskGroup(of: Int64.self) { group in
    for (index, file) in manifest.files.files.enumerated() {
      if index >= filesAtOnce, let read = try await group.next() { await progress(read) }
      group.addTask { try await verify(file, store) }
    }
    for try await read in group { await progress(read) }
  }
  return VerifiedCheckpoint(manifestSHA256: ContentHash.of(bytes), manifest: manifest)
}

private func manifestBytes(_ store: any ObjectStore, prefix: String) async throws -> [UInt8] {
  let key = ObjectLayout.manifest(checkpoint: prefix)
  guard try await store.head(key) != nil else { throw CheckpointFault.unfinished }
  var doubts = 0
  while true {
    do {
      return try await store.bytes(key)
    } catch {
      guard error.code == .checksumMismatch else { throw error }
      // A byte may have turned over on its way; what stays wrong is wrong in the store, and will never be right.
      doubts += 1
      guard doubts < manifestDoubts else { throw CheckpointFault.badManifest("\(error)") }
    }
  }
}

private func decodedManifest(_ bytes: [UInt8]) throws(CheckpointFault) -> CheckpointManifest {
  do { return try CheckpointManifest(decoding: bytes) } catch { throw .badManifest("\(error)") }
}

/// Reads a file's chunks in order: each has to be what it is called, and all of them together the file; returns its length.
private func verify(_ file: ChunkedFile, _ store: any ObjectStore) async throws -> Int64 {
  let ofChunks = Checksum.ofChunks(file.chunks.map(\.sha256), length: file.chunks.first?.size ?? 0)
  // Before version 3 it was that of the whole, however many chunks there are.
  let whole = ofChunks == file.checksum ? nil : ContentMeasure()
  for chunk in file.chunks {
    do {
      let measure = ContentMeasure()
      try await store.get(chunk.key) { piece in
        measure.add(piece)
        whole?.add(piece)
      }
      guard measure.result == (chunk.sha256, chunk.size) else { throw CheckpointFault.corrupt(key: chunk.key) }
    } catch let error as ObjectStoreError {
      switch error.code {
      case .notFound: throw CheckpointFault.missing(key: chunk.key)
      case .checksumMismatch: throw CheckpointFault.corrupt(key: chunk.key)
      default: throw error
      }
    }
  }
  if let whole, file.checksum != .sha256(whole.result.sha256) {
    throw CheckpointFault.badManifest("the chunks of \(file.path) are not the file")
  }
  return file.size
}

/// Reads an object that `entry` describes to its end and compares it.
///
/// Throws `ObjectStoreError`: `.changed` where it is another version than the entry's tag, `.checksumMismatch` where its
/// length or content differs, `.notFound` where it is gone. Where the checksum says nothing about bytes, tag and length
/// decide.
package func verifyObject(_ store: any ObjectStore, key: String, entry: ManifestEntry) async throws {
  let found = Mutex((hash: ChecksumHash(like: entry.checksum), size: Int64(0)))
  try await store.get(key, range: nil, ifTag: entry.tag) { piece in
    found.withLock {
      $0.hash?.update(piece)
      $0.size += Int64(piece.count)
    }
  }
  let (size, checksum) = found.withLock { ($0.size, $0.hash?.checksum) }
  guard size == entry.size, checksum == nil || checksum == entry.checksum else {
    throw ObjectStoreError(
      .checksumMismatch, key: key,
      reason: "expected \(entry.checksum) in \(entry.size) bytes, got \(checksum.map { "\($0)" } ?? "other") in \(size)"
    )
  }
}

/// Reads an object to its end and compares it; `ObjectStoreError` `.checksumMismatch` where it differs.
public func verifyObject(_ store: any ObjectStore, key: String, size: Int64, sha256: String) async throws {
  let found = try await store.measure(key, expecting: size)
  guard found.size == size, found.sha256 == sha256 else {
    throw ObjectStoreError(.checksumMismatch, key: key, reason: "expected \(sha256), got \(found.sha256)")
  }
}
