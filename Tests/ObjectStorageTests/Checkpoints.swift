import Domain
import Foundation
import Testing

@testable import ObjectStorage

/// Puts checkpoints into stores, as nodes would.
enum Checkpoints {
  /// Puts the chunks of `files`, unless `known` has them, and returns the manifest, which is not put.
  static func manifest(
    _ store: any ObjectStore, prefix: String, run: Int64, step: Int, number: Int, _ files: [String: [String]],
    known: ChunkIndex = ChunkIndex()
  ) async throws -> CheckpointManifest {
    var found: [ChunkedFile] = []
    for (path, texts) in files {
      var chunks: [CheckpointChunk] = []
      for text in texts {
        let bytes = Array(text.utf8)
        let sha256 = ContentHash.of(bytes)
        let size = Int64(bytes.count)
        if let key = known.key(sha256: sha256, size: size) {
          chunks.append(CheckpointChunk(key: key, size: size, sha256: sha256))
        } else {
          let key = ObjectLayout.chunk(checkpoint: prefix, sha256: sha256)
          try await store.put(key, from: .bytes(bytes), sha256: sha256)
          chunks.append(CheckpointChunk(key: key, size: size, sha256: sha256))
        }
      }
      let whole = Array(texts.joined().utf8)
      found.append(
        ChunkedFile(
          path: path, size: Int64(whole.count),
          checksum: .ofChunks(chunks.map(\.sha256), length: chunks.first?.size ?? 0), chunks: chunks))
    }
    let part = CheckpointPart(nodeRank: 0, layout: .whole, ranks: [0], files: try #require(ChunkedFiles(found)))
    return try #require(
      CheckpointManifest(run: RunID(run), number: number, step: step, worldSize: 1, parts: [part]))
  }

  /// Puts a whole checkpoint in the format before chunks.
  static func putVersion1(
    _ store: any ObjectStore, prefix: String, run: Int64, step: Int, number: Int, _ files: [String: String]
  ) async throws {
    var entries: [[String: Any]] = []
    for (path, text) in files {
      let bytes = Array(text.utf8)
      try await store.put(ObjectLayout.data(checkpoint: prefix, path: path), from: .bytes(bytes))
      entries.append(["path": path, "size": bytes.count, "sha256": ContentHash.of(bytes)])
    }
    let manifest: [String: Any] = [
      "version": 1, "run": run, "number": number, "step": step, "layout": "whole", "worldSize": 1,
      "files": ["entries": entries],
    ]
    let json = try JSONSerialization.data(withJSONObject: manifest, options: .sortedKeys)
    try await store.put(ObjectLayout.manifest(checkpoint: prefix), from: .bytes(Array(json)))
  }
}
