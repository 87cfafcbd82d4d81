import Domain
import Foundation
import ObjectStorage
import Testing
import Wire

@testable import NodeAgent

/// Data sets whose objects are read where they are, below a prefix of a store of their own.
@Suite(.timeLimit(.minutes(2)))
struct InPlaceTests {
  private static let pieceSize = 4096

  /// Puts files into a store of their own, and a manifest with what that store says of them into the order's.
  private func dataset(
    _ fixture: StagingFixture, _ files: [String: [UInt8]], mode: StagingMode = .copy,
    checksum: (ObjectInfo, [UInt8]) throws -> Checksum
  ) async throws -> (order: DatasetOrder, source: FileObjectStore) {
    let source = try FileObjectStore.creating(root: fixture.scratch + "/source")
    var entries: [ManifestEntry] = []
    for (path, bytes) in files {
      let info = try await source.put("photos/" + path, from: .bytes(bytes))
      entries.append(
        ManifestEntry(path: path, size: info.size, checksum: try checksum(info, bytes), tag: info.tag))
    }
    let manifest = try #require(Manifest(entries))
    let id = ContentHash.of(Array(manifest.canonicalText.utf8))
    let key = ObjectLayout.datasetManifest(contentID: id)
    try await fixture.store.base.put(key, from: .bytes(Array(try JSONEncoder().encode(manifest))))
    let access = DatasetSource(store: .folder(path: source.root), prefix: "photos/")
    return (
      DatasetOrder(
        id: DatasetVersionID(1), name: "d", contentID: id, manifestKey: key, total: manifest.total, mode: mode,
        source: access), source
    )
  }

  private func stager(_ fixture: StagingFixture, _ order: DatasetOrder) throws -> Stager {
    Stager(
      wishes: .init(datasets: [order], reserve: .zero), node: try fixture.node(), store: fixture.store,
      pieceSize: Self.pieceSize, report: { _ in })
  }

  private func md5(_ bytes: [UInt8]) throws -> Checksum {
    var hash = try #require(ChecksumHash(like: .md5("")))
    hash.update(bytes)
    return hash.checksum
  }

  @Test func bringsObjectsThatAreKnownByTheirMD5() async throws {
    try await StagingFixture.with { fixture in
      let files = StagingFixture.files(seed: 11, pieceSize: Self.pieceSize)
      let order = try await dataset(fixture, files) { try md5($1) }.order
      _ = try await stager(fixture, order).run()
      let folder = try fixture.node().replica(order.contentID)
      try fixture.expect(files, in: folder)

      let node = try fixture.node()
      let selection = try JSONEncoder().encode(ReplicaSelection(contentIDs: nil))
      let whole = try ReplicaVerbs(node: node).verify(Array(selection))
      #expect(whole.replicas.map(\.corrupt) == [[]])
      chmod(folder + "/large/0", 0o644)
      let file = try FileHandle(forWritingTo: URL(fileURLWithPath: folder + "/large/0"))
      try file.write(contentsOf: Data("flipped".utf8))
      try file.close()
      let damaged = try ReplicaVerbs(node: node).verify(Array(selection))
      #expect(damaged.replicas.map(\.corrupt) == [["large/0"]])
      _ = try await stager(fixture, order).run()
      try fixture.expect(files, in: folder)
    }
  }

  @Test(arguments: [100, 3 * pieceSize]) func refusesBytesThatHaveAnotherMD5(size: Int) async throws {
    try await StagingFixture.with { fixture in
      let files = ["a": [UInt8](repeating: 1, count: size)]
      let order = try await dataset(fixture, files) { _, _ in try md5([UInt8]("else".utf8)) }.order
      await #expect(throws: StagingFailure.corrupt(key: "photos/a")) { try await stager(fixture, order).run() }
      #expect(try Replicas(node: fixture.node()).all().allSatisfy { !$0.isVerified })
    }
  }

  @Test func bringsObjectsOfWhichTheStoreSaysOnlyAName() async throws {
    try await StagingFixture.with { fixture in
      let files = StagingFixture.files(seed: 12, pieceSize: Self.pieceSize)
      let order = try await dataset(fixture, files) { info, _ in .opaque(info.tag) }.order
      _ = try await stager(fixture, order).run()
      try fixture.expect(files, in: try fixture.node().replica(order.contentID))
    }
  }

  @Test func refusesAnObjectThatWasReplacedSinceAndNamesIt() async throws {
    try await StagingFixture.with { fixture in
      let files = ["a": [UInt8](repeating: 1, count: 100), "b/c": [UInt8](repeating: 2, count: 100)]
      let (order, source) = try await dataset(fixture, files) { try md5($1) }
      try await source.put("photos/b/c", from: .bytes([UInt8](repeating: 3, count: 100)))
      await #expect(throws: StagingFailure.changed(key: "photos/b/c")) { try await stager(fixture, order).run() }
      #expect(try Replicas(node: fixture.node()).all().allSatisfy { !$0.isVerified })
    }
  }

  @Test func sharesOfAPackedVersionAreNotTakenForSharesOfItsFiles() throws {
    var order = DatasetOrder(
      id: DatasetVersionID(1), name: "d", contentID: String(repeating: "a", count: 64), manifestKey: "", total: .zero,
      mode: .shard)
    let files = ReplicaName(order, rank: 1, count: 2)
    order.packKey = "pack"
    let shards = ReplicaName(order, rank: 1, count: 2)
    #expect(files.folder != shards.folder)
    #expect(ReplicaName(folder: files.folder) == files)
    #expect(ReplicaName(folder: shards.folder) == shards)
  }
}
