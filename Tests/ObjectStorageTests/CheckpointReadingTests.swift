import Domain
import Foundation
import ObjectStorage
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(2)))
struct CheckpointReadingTests {
  private let prefix = ObjectLayout.checkpoint(run: RunID(4), step: 120, number: 2)

  /// A checkpoint of one file, and the hash of its manifest.
  private func put(_ store: FileObjectStore, _ text: String) async throws -> (CheckpointManifest, sha256: String) {
    let info = try await store.put(
      ObjectLayout.data(checkpoint: prefix, path: "deep/w"), from: .bytes(Array(text.utf8)))
    let entry = ManifestEntry(path: "deep/w", size: info.size, sha256: try #require(info.sha256))
    let part = CheckpointPart(nodeRank: 0, layout: .whole, ranks: [0], files: try #require(Manifest([entry])))
    let manifest = try #require(CheckpointManifest(run: RunID(4), number: 2, step: 120, worldSize: 1, parts: [part]))
    let stored = try await store.put(ObjectLayout.manifest(checkpoint: prefix), from: .bytes(try manifest.encoded()))
    return (manifest, try #require(stored.sha256))
  }

  private func read(_ store: FileObjectStore, _ entry: ManifestEntry, from offset: Int64 = 0) async throws -> String {
    let found = Mutex<[UInt8]>([])
    try await readCheckpointFile(store, prefix: prefix, entry: entry, from: offset) { bytes in
      found.withLock { $0 += bytes }
    }
    return String(decoding: found.withLock { $0 }, as: UTF8.self)
  }

  @Test func readsAFileFromAnyOffsetToItsEnd() async throws {
    try await FileObjectStoreTests.with { store in
      let (manifest, sha256) = try await put(store, "weights")
      #expect(try await readCheckpointManifest(store, prefix: prefix, sha256: sha256) == manifest)
      let entry = try #require(manifest.files.entries.first)
      #expect(try await read(store, entry) == "weights")
      #expect(try await read(store, entry, from: 3) == "ghts")
      #expect(try await read(store, entry, from: 7) == "")
    }
  }

  @Test func refusesAnotherManifestThanWasCommitted() async throws {
    try await FileObjectStoreTests.with { store in
      await #expect(throws: CheckpointFault.unfinished) {
        try await readCheckpointManifest(store, prefix: prefix, sha256: "a")
      }
      _ = try await put(store, "weights")
      await #expect {
        try await readCheckpointManifest(store, prefix: prefix, sha256: String(repeating: "a", count: 64))
      } throws: {
        if case .badManifest = $0 as? CheckpointFault { true } else { false }
      }
    }
  }

  @Test func readsNoFileOfAnotherLengthNorOneThatIsGone() async throws {
    try await FileObjectStoreTests.with { store in
      let (manifest, _) = try await put(store, "weights")
      let entry = try #require(manifest.files.entries.first)
      let key = ObjectLayout.data(checkpoint: prefix, path: entry.path)
      try await store.put(key, from: .bytes(Array("weight".utf8)))
      await #expect(throws: CheckpointFault.corrupt(key: key)) { try await read(store, entry) }
      try await store.delete(key)
      await #expect(throws: CheckpointFault.missing(key: key)) { try await read(store, entry) }
    }
  }

  @Test func tellsHowFarAReadingBackIs() async throws {
    try await FileObjectStoreTests.with { store in
      _ = try await put(store, "weights")
      var read: Int64 = 0
      _ = try await verifyCheckpoint(store, prefix: prefix) { read += $0 }
      #expect(read == 7)
    }
  }
}
