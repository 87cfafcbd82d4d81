import Domain
import Foundation
import Glibc
import ObjectStorage
import TestKit
import Testing
import Wire

@testable import NodeAgent

@Suite(.timeLimit(.minutes(2)))
struct ReplicaTests {
  private func stager(
    _ fixture: StagingFixture, _ datasets: [DatasetOrder], rank: Int = 0, of count: Int = 1, reserve: ByteCount = .zero,
    pinned: Set<String> = [], news: News = News()
  ) throws -> Stager {
    Stager(
      wishes: .init(
        datasets: datasets, reserve: reserve, pinned: pinned, nodeRank: rank, nodeCount: count),
      node: try fixture.node(), store: fixture.store, pieceSize: 4096
    ) { news.add($0) }
  }

  @Test func aFolderSaysWhatItHolds() {
    let id = String(repeating: "a", count: 64)
    let order = DatasetOrder(
      id: DatasetVersionID(1), name: "d", contentID: id, manifestKey: "", total: .zero, mode: .shard)
    let name = ReplicaName(order, rank: 2, count: 5)
    #expect(name.folder == "\(id)-shard-2-of-5")
    for folder in [id, "\(id)-shards", name.folder] { #expect(ReplicaName(folder: folder)?.folder == folder) }
    for folder in ["\(id)-shard-5-of-5", "\(id)-x", "short", "\(id)-shard-1"] {
      #expect(ReplicaName(folder: folder) == nil)
    }
  }

  @Test func bringsEachNodeItsShare() async throws {
    try await StagingFixture.with { fixture in
      let files = StagingFixture.files(seed: 4, pieceSize: 4096)
      let dataset = try await fixture.dataset("d", files, mode: .shard)
      let names = files.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
      for rank in 0..<3 {
        _ = try await stager(fixture, [dataset], rank: rank, of: 3).run()
        let share = names.indices.filter { $0 % 3 == rank }.map { names[$0] }
        try fixture.expect(
          files.filter { share.contains($0.key) },
          in: "\(fixture.scratch)/node/datasets/\(dataset.contentID)-shard-\(rank)-of-3")
      }
      #expect(fixture.store.bytesRead == dataset.total.bytes)
      let report = try Probe(node: fixture.node()).run()
      #expect(report.replicas.isEmpty)
      #expect(report.holdings?.map(\.share?.index) == [0, 1, 2])
      #expect(report.holdings?.reduce(.zero) { $0 + $1.bytes } == dataset.total)
    }
  }

  /// Packs files into shards, some in each.
  private func pack(
    _ fixture: StagingFixture, _ dataset: DatasetOrder, _ files: [String: [UInt8]], in count: Int
  ) async throws -> (key: String, tars: [String: [UInt8]]) {
    var tars: [String: [UInt8]] = [:]
    var shards: [PackManifest.Shard] = []
    let names = files.keys.sorted()
    for shard in 0..<count {
      var tar: [UInt8] = []
      var members: [ShardIndex.Member] = []
      for name in names[(names.count * shard / count)..<(names.count * (shard + 1) / count)] {
        let content = files[name] ?? []
        tar += Tar.header(path: name, size: Int64(content.count))
        let entry = ManifestEntry(path: name, size: Int64(content.count), sha256: ContentHash.of(content))
        members.append(.init(file: entry, offset: Int64(tar.count)))
        tar += content + Tar.padding(after: Int64(content.count))
      }
      tar += Tar.end
      let index = Array(ShardIndex(members: members).text.utf8)
      var entries: [ManifestEntry] = []
      for (suffix, bytes) in [("tar", tar), ("idx", index)] {
        let hash = ContentHash.of(bytes)
        try await fixture.store.base.put(ObjectLayout.blob(sha256: hash), from: .bytes(bytes))
        entries.append(ManifestEntry(path: "shard-00000\(shard).\(suffix)", size: Int64(bytes.count), sha256: hash))
        tars["shard-00000\(shard).\(suffix)"] = bytes
      }
      shards.append(.init(tar: entries[0], index: entries[1]))
    }
    let key = "datasets/\(dataset.contentID).pack.json"
    let manifest = PackManifest(contentID: dataset.contentID, shards: shards)
    try await fixture.store.base.put(key, from: .bytes(Array(try JSONEncoder().encode(manifest))))
    return (key, tars)
  }

  @Test func unpacksAPackedVersionWithoutItsTarsOnTheDisk() async throws {
    try await StagingFixture.with { fixture in
      let files = StagingFixture.files(seed: 5, pieceSize: 4096, large: 2, small: 60)
      var dataset = try await fixture.dataset("d", files)
      dataset.packKey = try await pack(fixture, dataset, files, in: 3).key
      for entry in try await fixture.store.list(prefix: "blobs/", after: nil, limit: 1000).entries {
        // Only what is in the tars may be needed.
        if files.values.contains(where: { ContentHash.of($0) == String(entry.key.suffix(64)) }) {
          try await fixture.store.base.delete(entry.key)
        }
      }
      _ = try await stager(fixture, [dataset]).run()
      try fixture.expect(files, in: try fixture.node().replica(dataset.contentID))
      let requests = fixture.store.readings.filter { $0.range.count > 0 }.count
      #expect(requests < files.count)
    }
  }

  @Test func leavesShardsAsTheyAre() async throws {
    try await StagingFixture.with { fixture in
      let files = StagingFixture.files(seed: 6, pieceSize: 4096)
      var dataset = try await fixture.dataset("d", files, mode: .shards)
      await #expect(throws: StagingFailure.self) { try await stager(fixture, [dataset]).run() }
      let packed = try await pack(fixture, dataset, files, in: 3)
      dataset.packKey = packed.key
      _ = try await stager(fixture, [dataset]).run()
      try fixture.expect(packed.tars, in: try fixture.node().replica("\(dataset.contentID)-shards"))
    }
  }

  @Test func readsObjectsInPlace() async throws {
    try await StagingFixture.with { fixture in
      let files: [String: [UInt8]] = ["a/x": [1, 2], "b": [3]]
      var dataset = try await fixture.dataset("d", files)
      let other = try FileObjectStore.creating(root: fixture.scratch + "/other")
      for (path, bytes) in files { try await other.put("imagenet/\(path)", from: .bytes(bytes)) }
      dataset.source = DatasetSource(store: .folder(path: other.root), prefix: "imagenet/")
      _ = try await stager(fixture, [dataset]).run()
      try fixture.expect(files, in: try fixture.node().replica(dataset.contentID))
      #expect(fixture.store.bytesRead == 0)
    }
  }

  // MARK: Room

  private func report(_ name: String, _ bytes: Int64, used: Int64) -> ReplicaReport {
    ReplicaReport(
      name: name, contentID: name, mode: .copy, share: nil, isVerified: true, bytes: ByteCount(bytes),
      lastUse: Timestamp(microseconds: used))
  }

  @Test func evictsTheOldestAndNoMoreThanNeeded() {
    let all = [report("new", 50, used: 3), report("old", 10, used: 1), report("middle", 100, used: 2)]
    #expect(Eviction.choose(missing: ByteCount(5), from: all)?.map(\.name) == ["old"])
    // The oldest alone is not enough, and is not needed once the next has gone.
    #expect(Eviction.choose(missing: ByteCount(60), from: all)?.map(\.name) == ["middle"])
    #expect(Eviction.choose(missing: ByteCount(105), from: all)?.map(\.name) == ["old", "middle"])
    #expect(Eviction.choose(missing: ByteCount(161), from: all) == nil)
    #expect(Eviction.choose(missing: .zero, from: all)?.isEmpty == true)
  }

  @Test(arguments: 1...50 as ClosedRange<UInt64>)
  func whatIsEvictedIsEnoughAndNoneOfItCanBeSpared(seed: UInt64) throws {
    var chance = SeededGenerator(seed: seed)
    let all = (0..<chance.int(0...12)).map {
      report("r\($0)", Int64(chance.int(0...100)), used: Int64(chance.int(0...5)))
    }
    let missing = ByteCount(Int64(chance.int(0...400)))
    let total = all.reduce(ByteCount.zero) { $0 + $1.bytes }
    guard let chosen = Eviction.choose(missing: missing, from: all) else {
      #expect(total < missing)
      return
    }
    let freed = chosen.reduce(ByteCount.zero) { $0 + $1.bytes }
    #expect(freed >= missing)
    for one in chosen { #expect(freed - one.bytes < missing) }
  }

  @Test func makesRoomOfWhatNobodyUsesOrPinned() async throws {
    try await StagingFixture.with { fixture in
      let node = try fixture.node()
      var sets: [DatasetOrder] = []
      for seed in 0..<5 {
        let bytes = [UInt8](repeating: UInt8(seed), count: 40_960)
        sets.append(try await fixture.dataset("d\(seed)", ["f": bytes]))
      }
      for set in sets.prefix(4) { _ = try await stager(fixture, [set]).run() }
      // An attempt that has not ended asked for the oldest one.
      let order = AttemptOrder(
        attempt: AttemptID(9), job: JobID(1), number: 1, controllerEpoch: 1, nodeRank: 0, nodeAddresses: ["127.0.0.1"],
        gpus: [], processesPerNode: 1, command: ["true"], environment: [:], seed: 0, datasets: [sets[0]], resume: nil,
        store: .folder(path: "/"), leaseRemaining: .zero, leaseEnd: Timestamp(microseconds: 0), lastSaveLead: .zero,
        grace: .zero, checkpointEvery: nil, reserve: .zero)
      try Disk.makeFolders(node.attempt(order.attempt).path)
      try Disk.writeAtomically(try Codec.line(order), to: node.attempt(order.attempt).order)
      let news = News()
      var stager = try stager(fixture, [sets[4]], pinned: [sets[1].contentID], news: news)
      // A disk with room for four of them, and a little.
      stager.room = { [ids = sets.map(\.contentID)] root in
        let there = ids.filter { Disk.status("\(root)/datasets/\($0)") != nil }.count
        return ByteCount(Int64(4 - there) * 40_960 + 100)
      }
      _ = try await stager.run()
      #expect(news.evicted == [sets[2].contentID])
      #expect(
        try Replicas(node: node).all().map(\.contentID).sorted() == [0, 1, 3, 4].map { sets[$0].contentID }.sorted())

      var greedy = try self.stager(fixture, [sets[2]], reserve: .gibibytes(1), pinned: [sets[1].contentID])
      greedy.room = { _ in ByteCount(100) }
      await #expect(
        throws: StagingFailure.diskTooSmall(needed: .gibibytes(1) + ByteCount(40_960), room: ByteCount(100))
      ) {
        try await greedy.run()
      }
      #expect(try Replicas(node: node).all().count == 4)
    }
  }

  @Test func needsNoRoomForWhatAnotherBringsMeanwhile() async throws {
    try await StagingFixture.with { fixture in
      let node = try fixture.node()
      let dataset = try await fixture.dataset("d", ["f": [UInt8](repeating: 7, count: 40_960)])
      let partial = Replicas(node: node).partial(dataset.contentID)
      var stager = try stager(fixture, [dataset])
      // While it looks at the disk somebody else takes all of the room, for the same data set.
      stager.room = { _ in
        do {
          try Disk.makeFolders(partial)
          try Disk.writeAtomically([UInt8](repeating: 0, count: 40_960), to: partial + "/f")
        } catch {
          Issue.record(error)
        }
        return ByteCount(10)
      }
      _ = try await stager.run()
      try fixture.expect(["f": [UInt8](repeating: 7, count: 40_960)], in: node.replica(dataset.contentID))
    }
  }

  // MARK: Verbs

  @Test func verifyFindsDamageAndEvictRemovesWhatIsNotUsed() async throws {
    try await StagingFixture.with { fixture in
      let node = try fixture.node()
      let files: [String: [UInt8]] = ["a": [1, 2, 3], "b": [4]]
      let dataset = try await fixture.dataset("d", files)
      _ = try await stager(fixture, [dataset]).run()
      let verbs = ReplicaVerbs(node: node)
      let all = try Codec.line(ReplicaSelection(contentIDs: nil))
      #expect(try verbs.verify(all).replicas.first?.corrupt == [])
      let damaged = node.replica(dataset.contentID) + "/a"
      chmod(damaged, 0o644)
      try Data([1, 2, 4]).write(to: URL(fileURLWithPath: damaged))
      #expect(try verbs.verify(all).replicas.first?.corrupt == ["a"])
      #expect(try Probe(node: node).run().replicas.isEmpty)
      fixture.store.forget()
      _ = try await stager(fixture, [dataset]).run()
      try fixture.expect(files, in: node.replica(dataset.contentID))
      #expect(fixture.store.bytesRead == 3)

      let held = try await LockHolder.hold(Replicas(node: node).lock(dataset.contentID))
      #expect(try verbs.evict(all).inUse == [dataset.contentID])
      held.release()
      let other = try Codec.line(ReplicaSelection(contentIDs: ["x"]))
      #expect(try verbs.evict(other) == EvictionReport(removed: [], inUse: []))
      #expect(try verbs.evict(all).removed.map(\.contentID) == [dataset.contentID])
      #expect(try Replicas(node: node).all().isEmpty)
    }
  }

  @Test func evictsNothingWhileNobodyCanSayWhatAnAttemptUses() async throws {
    try await StagingFixture.with { fixture in
      let node = try fixture.node()
      _ = try await stager(fixture, [try await fixture.dataset("d", ["a": [1]])]).run()
      let attempt = node.attempt(AttemptID(9))
      try Disk.makeFolders(attempt.path)
      let verbs = ReplicaVerbs(node: node)
      let all = try Codec.line(ReplicaSelection(contentIDs: nil))
      try Disk.writeAtomically(Array("{\"attempt\": 9".utf8), to: attempt.order)
      #expect(throws: (any Error).self) { try verbs.evict(all) }
      #expect(try Replicas(node: node).all().count == 1)
      // A folder without an order is that of an attempt which has not begun.
      try Disk.removeTree(attempt.order)
      #expect(try verbs.evict(all).removed.count == 1)
    }
  }
}
