import Domain
import Foundation
import Synchronization
import Testing

@testable import ObjectStorage

@Suite(.timeLimit(.minutes(3)))
struct ChunkPruningTests {
  private func prefix(_ step: Int) -> String { ObjectLayout.checkpoint(run: RunID(4), step: step, number: 1) }

  private func commit(
    _ store: any ObjectStore, _ step: Int, _ texts: [String], on base: CheckpointManifest?
  ) async throws -> CheckpointManifest {
    let manifest = try await Checkpoints.manifest(
      store, prefix: prefix(step), run: 4, step: step, number: 1, ["w": texts],
      known: base.map { ChunkIndex($0.files) } ?? ChunkIndex())
    try await store.put(ObjectLayout.manifest(checkpoint: prefix(step)), from: .bytes(try manifest.encoded()))
    return manifest
  }

  @Test func onlyWhatNobodyKeptNamesIsRemovable() async throws {
    try await FileObjectStoreTests.with { store in
      let first = try await commit(store, 1, ["a", "b"], on: nil)
      let second = try await commit(store, 2, ["a", "c"], on: first)
      let third = try await commit(store, 3, ["a", "d"], on: second)
      let manifests = [first, second, third]
      func chunk(_ step: Int, _ text: String) -> String {
        ObjectLayout.chunk(checkpoint: prefix(step), sha256: ContentHash.of(Array(text.utf8)))
      }
      // What was left is removed once nobody names it.
      let pruning = CheckpointPruning(store, run: RunID(4))
      func size(_ step: Int) throws -> Int64 { Int64(try manifests[step - 1].encoded().count) }
      let freed = try await pruning.remove(pruned: [prefix(1)], kept: [prefix(2), prefix(3)])
      #expect(freed.bytes == 1 + (try size(1)))
      #expect(try await store.head(chunk(1, "a")) != nil)
      #expect(try await store.head(chunk(1, "b")) == nil)
      for step in 2...3 { _ = try await verifyCheckpoint(store, prefix: prefix(step)) }
      #expect(try await pruning.remove(pruned: [prefix(1)], kept: [prefix(2), prefix(3)]) == .zero)
      try await pruning.remove(pruned: [prefix(1), prefix(2)], kept: [prefix(3)])
      #expect(try await store.head(chunk(2, "c")) == nil)
      _ = try await verifyCheckpoint(store, prefix: prefix(3))
      _ = try await commit(store, 4, ["e"], on: third)
      try await pruning.remove(pruned: [prefix(1), prefix(2), prefix(3)], kept: [prefix(4)])
      let left = try await store.list(prefix: "runs/4/checkpoints/", after: nil, limit: 100).entries.map(\.key)
      #expect(left.allSatisfy { $0.hasPrefix(prefix(4)) } && left.count == 2)
    }
  }

  @Test func removesNothingWhereAKeptCheckpointCannotBeRead() async throws {
    try await FileObjectStoreTests.with { store in
      let first = try await commit(store, 1, ["a"], on: nil)
      _ = try await commit(store, 2, ["a"], on: first)
      let key = ObjectLayout.manifest(checkpoint: prefix(2))
      let pruning = CheckpointPruning(store, run: RunID(4))
      try await store.put(key, from: .bytes([1]))
      await #expect(throws: CheckpointFault.self) { try await pruning.remove(pruned: [prefix(1)], kept: [prefix(2)]) }
      try await store.delete(key)
      await #expect(throws: CheckpointFault.missing(key: key)) {
        try await pruning.remove(pruned: [prefix(1)], kept: [prefix(2)])
      }
      #expect(try await store.head(try #require(first.files.keys.first)) != nil)
    }
  }

  @Test func prunesWhatVersion1Wrote() async throws {
    try await FileObjectStoreTests.with { store in
      try await Checkpoints.putVersion1(store, prefix: prefix(1), run: 4, step: 1, number: 1, ["w": "a", "x": "b"])
      let old = try await verifyCheckpoint(store, prefix: prefix(1)).manifest
      let new = try await commit(store, 2, ["a", "c"], on: old)
      #expect(new.files.keys.contains(prefix(1) + "data/w"))
      try await CheckpointPruning(store, run: RunID(4)).remove(pruned: [prefix(1)], kept: [prefix(2)])
      #expect(try await store.head(prefix(1) + "data/x") == nil)
      _ = try await verifyCheckpoint(store, prefix: prefix(2))
    }
  }

  /// Nodes commit, their news arrive late and in any order, sweeps prune: in between each two requests of a sweep too.
  @Test(arguments: UInt64(1)...8)
  func noKeptManifestEverNamesADeletedKey(seed: UInt64) async throws {
    let store = InterruptedStore()
    let world = CheckpointWorld(store, seed: seed, nodes: seed % 2 == 0 ? 1 : 2)
    // A few for each sweep: more, and nodes would store faster than sweeps prune, without an end.
    let interruptions = Mutex(0)
    store.interrupt {
      guard world.roll(3) == 0,
        interruptions.withLock({
          $0 -= 1; return $0 >= 0
        })
      else { return }
      try await world.act()
    }
    for _ in 0..<18 {
      for _ in 0..<4 { try await world.act() }
      for _ in 0..<4 {
        guard let (pruned, kept) = world.sweep() else { break }
        interruptions.withLock { $0 = 3 }
        try await CheckpointPruning(store, run: RunID(4)).remove(pruned: pruned, kept: kept)
        interruptions.withLock { $0 = 0 }
        try await world.check()
      }
    }
    #expect(world.commits > 5 && world.prunings > 3)
  }
}
