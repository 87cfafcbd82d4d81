import Domain
import Foundation
import Testing

@testable import ObjectStorage

@Suite(.timeLimit(.minutes(2)))
struct CheckpointVerificationTests {
  private let prefix = ObjectLayout.checkpoint(run: RunID(4), step: 120, number: 2)

  private func put(_ store: FileObjectStore, _ files: [String: [String]]) async throws -> CheckpointManifest {
    try await Checkpoints.manifest(store, prefix: prefix, run: 4, step: 120, number: 2, files)
  }

  private func key(_ text: String) -> String {
    ObjectLayout.chunk(checkpoint: prefix, sha256: ContentHash.of(Array(text.utf8)))
  }

  @Test func findsAWholeCheckpoint() async throws {
    try await FileObjectStoreTests.with { store in
      let manifest = try await put(store, ["w": ["1", "23"], "deep/o": ["2"], "empty": []])
      await #expect(throws: CheckpointFault.unfinished) { try await verifyCheckpoint(store, prefix: prefix) }
      let info = try await store.put(
        ObjectLayout.manifest(checkpoint: prefix), from: .bytes(try manifest.encoded()))
      let verified = try await verifyCheckpoint(store, prefix: prefix)
      #expect(verified.manifest == manifest)
      #expect(verified.manifestSHA256 == info.sha256)
    }
  }

  @Test func findsAFlippedByteInAChunkAndAMissingChunk() async throws {
    try await FileObjectStoreTests.with { store in
      let manifest = try await put(store, ["w": ["ab", "12345"]])
      try await store.put(ObjectLayout.manifest(checkpoint: prefix), from: .bytes(try manifest.encoded()))
      let key = key("12345")
      // Behind the store's back, so that its own checksum still says what was put.
      let file = try #require(FileHandle(forWritingAtPath: "\(store.root)/\(key)"))
      file.write(Data("x".utf8))
      try file.close()
      await #expect(throws: CheckpointFault.corrupt(key: key)) { try await verifyCheckpoint(store, prefix: prefix) }
      try await store.delete(key)
      await #expect(throws: CheckpointFault.missing(key: key)) { try await verifyCheckpoint(store, prefix: prefix) }
    }
  }

  @Test func findsAFlippedByteInTheManifest() async throws {
    try await FileObjectStoreTests.with { store in
      let manifest = try await put(store, ["w": ["1"]])
      let key = ObjectLayout.manifest(checkpoint: prefix)
      try await store.put(key, from: .bytes(try manifest.encoded()))
      let file = try #require(FileHandle(forWritingAtPath: "\(store.root)/\(key)"))
      file.write(Data("x".utf8))
      try file.close()
      // Whoever settles what an attempt left would else wait for it for ever.
      await #expect { try await verifyCheckpoint(store, prefix: prefix) } throws: {
        if case .badManifest = $0 as? CheckpointFault { true } else { false }
      }
    }
  }

  @Test func refusesTheManifestOfAnother() async throws {
    try await FileObjectStoreTests.with { store in
      let manifest = try await put(store, ["w": ["1"]])
      let other = ObjectLayout.checkpoint(run: RunID(4), step: 121, number: 2)
      try await store.put(ObjectLayout.manifest(checkpoint: other), from: .bytes(try manifest.encoded()))
      await #expect { try await verifyCheckpoint(store, prefix: other) } throws: {
        if case .badManifest = $0 as? CheckpointFault { true } else { false }
      }
    }
  }

  @Test func refusesAManifestOfAnotherFormat() async throws {
    try await FileObjectStoreTests.with { store in
      var manifest = try await put(store, ["w": ["1"]])
      manifest.version = 4
      try await store.put(ObjectLayout.manifest(checkpoint: prefix), from: .bytes(try manifest.encoded()))
      await #expect { try await verifyCheckpoint(store, prefix: prefix) } throws: {
        if case .badManifest = $0 as? CheckpointFault { true } else { false }
      }
    }
  }

  @Test func findsChunksThatAreRightAndNotTheFile() async throws {
    try await FileObjectStoreTests.with { store in
      let manifest = try await put(store, ["w": ["1", "2"]])
      var file = try #require(manifest.files.files.first)
      file.chunks.reverse()
      let part = CheckpointPart(
        nodeRank: 0, layout: .whole, ranks: [0], files: try #require(ChunkedFiles([file])))
      let wrong = CheckpointManifest(run: RunID(4), number: 2, step: 120, worldSize: 1, parts: [part])
      try await store.put(ObjectLayout.manifest(checkpoint: prefix), from: .bytes(try #require(wrong).encoded()))
      await #expect(throws: CheckpointFault.badManifest("the chunks of w are not the file")) {
        try await verifyCheckpoint(store, prefix: prefix)
      }
    }
  }

  @Test func readsWhatVersion1Wrote() async throws {
    try await FileObjectStoreTests.with { store in
      try await Checkpoints.putVersion1(store, prefix: prefix, run: 4, step: 120, number: 2, ["w": "1", "deep/o": "2"])
      let found = try await verifyCheckpoint(store, prefix: prefix).manifest
      #expect(found.files.files.map { $0.chunks.map(\.key) } == [[prefix + "data/deep/o"], [prefix + "data/w"]])
      #expect(try CheckpointManifest(decoding: found.encoded()) == found)
      try await store.delete(prefix + "data/w")
      await #expect(throws: CheckpointFault.missing(key: prefix + "data/w")) {
        try await verifyCheckpoint(store, prefix: prefix)
      }
    }
  }

  @Test func readsWhatVersion2WroteWithTheHashOfEachWholeFile() async throws {
    try await FileObjectStoreTests.with { store in
      let manifest = try await put(store, ["w": ["12", "3"], "o": ["4"]])
      let composite = try #require(manifest.files.files.first { $0.path == "w" }?.checksum)
      let text = String(decoding: try manifest.encoded(), as: UTF8.self)
      #expect(text.contains("\"checksum\":\"\(composite)\"") && text.contains("\"version\":3"))
      let old = text.replacing("\"version\":3", with: "\"version\":2")
      func rewrite(asWhole content: String) async throws {
        let whole = "\"sha256\":\"\(ContentHash.of(Array(content.utf8)))\""
        let bytes = Array(old.replacing("\"checksum\":\"\(composite)\"", with: whole).utf8)
        try await store.put(ObjectLayout.manifest(checkpoint: prefix), from: .bytes(bytes))
      }
      try await rewrite(asWhole: "123")
      let found = try await verifyCheckpoint(store, prefix: prefix).manifest
      #expect(found.files.files.map(\.chunks) == manifest.files.files.map(\.chunks))
      try await rewrite(asWhole: "321")
      await #expect(throws: CheckpointFault.badManifest("the chunks of w are not the file")) {
        try await verifyCheckpoint(store, prefix: prefix)
      }
    }
  }

  @Test func anObjectThatIsLongerOrShorterIsAnother() async throws {
    try await FileObjectStoreTests.with { store in
      try await store.put("k", from: .bytes(Array("ab".utf8)))
      try await store.put("empty", from: .bytes([]))
      try await verifyObject(store, key: "k", size: 2, sha256: ContentHash.of(Array("ab".utf8)))
      try await verifyObject(store, key: "empty", size: 0, sha256: ContentHash.of([]))
      for text in ["a", "abc", "", "ba"] {
        await #expect { () async throws in
          try await verifyObject(
            store, key: "k", size: Int64(text.utf8.count), sha256: ContentHash.of(Array(text.utf8)))
        } throws: {
          ($0 as? ObjectStoreError)?.code == .checksumMismatch
        }
      }
    }
  }

  @Test func refusesFilesWhoseChunksDoNotAddUp() {
    let sha256 = String(repeating: "a", count: 64)
    func files(_ size: Int64, _ chunks: [Int64]) -> ChunkedFiles? {
      ChunkedFiles([
        ChunkedFile(
          path: "w", size: size, checksum: .sha256(sha256),
          chunks: chunks.map { CheckpointChunk(key: "k", size: $0, sha256: sha256) })
      ])
    }
    #expect(files(3, [1, 2]) != nil && files(0, []) != nil)
    #expect(files(3, [1]) == nil && files(3, [2, 2]) == nil && files(-1, []) == nil)
    #expect(files(3, [.max, .max]) == nil && files(3, [-1, 4]) == nil)
  }

  @Test func makesTheSameManifestFromPartsInAnyOrder() throws {
    func part(_ node: Int, _ ranks: [Int]) throws -> CheckpointPart {
      let sha256 = String(repeating: "a", count: 64)
      let files = ranks.map {
        ChunkedFile(
          path: "rank-\($0)/w", size: 1, checksum: .sha256(sha256),
          chunks: [CheckpointChunk(key: "k", size: 1, sha256: sha256)])
      }
      return CheckpointPart(nodeRank: node, layout: .sharded, ranks: ranks, files: try #require(ChunkedFiles(files)))
    }
    func manifest(_ parts: [CheckpointPart]) -> CheckpointManifest? {
      CheckpointManifest(run: RunID(1), number: 1, step: 1, worldSize: 4, parts: parts)
    }
    let (a, b) = (try part(0, [0, 1]), try part(1, [2, 3]))
    try #expect(manifest([a, b])?.encoded() == manifest([b, a])?.encoded())
    #expect(manifest([a]) == nil)
    #expect(manifest([a, a]) == nil)
  }

  @Test func namesCheckpointsSoThatTheySortByStep() {
    let steps = [0, 9, 10, 99_999, 9_999_999_999]
    let keys = steps.map { ObjectLayout.checkpoint(run: RunID(1), step: $0, number: 3) }
    #expect(keys == keys.sorted())
    for (step, key) in zip(steps, keys) { #expect(ObjectLayout.parseCheckpoint(prefix: key)?.step == step) }
    for bad in [
      "", "runs/1/checkpoints/7-e3/", "runs/1/checkpoints/0000000007-e3", "runs/x/checkpoints/0000000007-e3/",
    ] {
      #expect(ObjectLayout.parseCheckpoint(prefix: bad) == nil)
    }
  }
}
