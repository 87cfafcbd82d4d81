import Domain
import Foundation
import Synchronization
import Testing

@testable import ObjectStorage

@Suite(.timeLimit(.minutes(2)))
struct CheckpointReadingTests {
  private let prefix = ObjectLayout.checkpoint(run: RunID(4), step: 120, number: 2)

  /// A checkpoint of one file in chunks, and the hash of its manifest.
  private func put(_ store: FileObjectStore, _ texts: [String]) async throws -> (CheckpointManifest, sha256: String) {
    let manifest = try await Checkpoints.manifest(
      store, prefix: prefix, run: 4, step: 120, number: 2, ["deep/w": texts])
    let stored = try await store.put(ObjectLayout.manifest(checkpoint: prefix), from: .bytes(try manifest.encoded()))
    return (manifest, try #require(stored.sha256))
  }

  private func read(_ store: FileObjectStore, _ file: ChunkedFile, from offset: Int64 = 0) async throws -> String {
    let found = Mutex<[UInt8]>([])
    try await readCheckpointFile(store, file, from: offset) { bytes in found.withLock { $0 += bytes } }
    return String(decoding: found.withLock { $0 }, as: UTF8.self)
  }

  @Test func readsAFileFromAnyOffsetToItsEnd() async throws {
    try await FileObjectStoreTests.with { store in
      let (manifest, sha256) = try await put(store, ["wei", "g", "hts"])
      #expect(try await readCheckpointManifest(store, prefix: prefix, sha256: sha256) == manifest)
      let file = try #require(manifest.files.files.first)
      let text = "weights"
      for offset in 0...text.count {
        #expect(try await read(store, file, from: Int64(offset)) == text.dropFirst(offset))
      }
    }
  }

  @Test func refusesAnotherManifestThanWasCommitted() async throws {
    try await FileObjectStoreTests.with { store in
      await #expect(throws: CheckpointFault.unfinished) {
        try await readCheckpointManifest(store, prefix: prefix, sha256: "a")
      }
      _ = try await put(store, ["weights"])
      await #expect {
        try await readCheckpointManifest(store, prefix: prefix, sha256: String(repeating: "a", count: 64))
      } throws: {
        if case .badManifest = $0 as? CheckpointFault { true } else { false }
      }
    }
  }

  @Test func readsNoFileOfAnotherLengthNorOneThatIsGone() async throws {
    try await FileObjectStoreTests.with { store in
      let (manifest, _) = try await put(store, ["weights"])
      let file = try #require(manifest.files.files.first)
      let key = try #require(file.chunks.first?.key)
      try await store.put(key, from: .bytes(Array("weight".utf8)))
      await #expect(throws: CheckpointFault.corrupt(key: key)) { try await read(store, file) }
      try await store.delete(key)
      await #expect(throws: CheckpointFault.missing(key: key)) { try await read(store, file) }
    }
  }

  @Test func tellsHowFarAReadingBackIs() async throws {
    try await FileObjectStoreTests.with { store in
      _ = try await put(store, ["weights"])
      var read: Int64 = 0
      _ = try await verifyCheckpoint(store, prefix: prefix) { read += $0 }
      #expect(read == 7)
    }
  }

  @Test func readsAFileThatVersion1Wrote() async throws {
    try await FileObjectStoreTests.with { store in
      try await Checkpoints.putVersion1(store, prefix: prefix, run: 4, step: 120, number: 2, ["w": "weights"])
      let bytes = try await store.bytes(ObjectLayout.manifest(checkpoint: prefix))
      let manifest = try await readCheckpointManifest(store, prefix: prefix, sha256: ContentHash.of(bytes))
      #expect(manifest.files.entries.map(\.path) == ["w"])
      #expect(try await read(store, try #require(manifest.files.files.first), from: 3) == "ghts")
    }
  }
}
