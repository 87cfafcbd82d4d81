import Domain

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
  for entry in manifest.files.entries {
    let key = ObjectLayout.data(checkpoint: prefix, path: entry.path)
    if let fault = try await fault(store, key: key, entry: entry) { throw fault }
    await progress(entry.size)
  }
  return VerifiedCheckpoint(manifestSHA256: ContentHash.of(bytes), manifest: manifest)
}

private func manifestBytes(_ store: any ObjectStore, prefix: String) async throws -> [UInt8] {
  let key = ObjectLayout.manifest(checkpoint: prefix)
  guard try await store.head(key) != nil else { throw CheckpointFault.unfinished }
  return try await store.bytes(key)
}

private func decodedManifest(_ bytes: [UInt8]) throws(CheckpointFault) -> CheckpointManifest {
  do { return try CheckpointManifest(decoding: bytes) } catch { throw .badManifest("\(error)") }
}

private func fault(_ store: any ObjectStore, key: String, entry: ManifestEntry) async throws -> CheckpointFault? {
  do {
    try await verifyObject(store, key: key, size: entry.size, sha256: entry.sha256)
    return nil
  } catch let error as ObjectStoreError {
    switch error.code {
    case .notFound: return .missing(key: key)
    case .checksumMismatch: return .corrupt(key: key)
    default: throw error
    }
  }
}

/// Reads an object to its end and compares it; `ObjectStoreError` `.checksumMismatch` where it differs.
public func verifyObject(_ store: any ObjectStore, key: String, size: Int64, sha256: String) async throws {
  let measure = ContentMeasure()
  try await store.get(key) { measure.add($0) }
  let found = measure.result
  guard found.size == size, found.sha256 == sha256 else {
    throw ObjectStoreError(.checksumMismatch, key: key, reason: "expected \(sha256), got \(found.sha256)")
  }
}
