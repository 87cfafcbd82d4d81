import Domain
import Foundation
import ObjectStorage
import Synchronization
import TestKit
import Testing

@Suite struct ShardPlanTests {
  private func manifest(_ paths: [String], size: Int64 = 100) throws -> Manifest {
    try #require(
      Manifest(paths.map { ManifestEntry(path: $0, size: size, sha256: String(repeating: "0", count: 64)) }))
  }

  @Test func membersOfASampleLieSideBySideAndSamplesInTheOrderOfTheirPaths() throws {
    let plan = ShardPlan(
      try manifest(["b/2.jpg", "a/1.d/x", "a/1.jpg", "a/1.cls", "a/1-2.jpg", "b/2.cls", "b/.hidden", "top"]),
      shardBytes: .mebibytes(1))
    #expect(
      plan.shards.map { $0.map(\.path) } == [
        ["a/1.cls", "a/1.jpg", "a/1-2.jpg", "a/1.d/x", "b/.hidden", "b/2.cls", "b/2.jpg", "top"]
      ])
    #expect(ShardPlan.sampleKey("a.b/c.tar.gz") == "a.b/c")
    #expect(ShardPlan.sampleKey("plain") == "plain")
  }

  /// 100 bytes take two blocks, so a sample of two takes 2048 bytes.
  @Test func fillsShardsAndTearsNoSample() throws {
    let paths = (0..<6).flatMap { ["\($0).cls", "\($0).jpg"] }
    let plan = ShardPlan(try manifest(paths), shardBytes: ByteCount(5000))
    #expect(plan.shards.map(\.count) == [4, 4, 4])
    let torn = ShardPlan(try manifest(paths), shardBytes: ByteCount(1))
    #expect(torn.shards.map(\.count) == [2, 2, 2, 2, 2, 2])
    #expect(ShardPlan(try manifest(paths), shardBytes: ByteCount(5000)) == plan)
    #expect(ShardPlan(try manifest([]), shardBytes: ByteCount(5000)).shards == [])
  }
}

@Suite(.timeLimit(.minutes(2))) struct ShardBuilderTests {
  private func with(_ body: (FileObjectStore, String) async throws -> Void) async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("baton-pack-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { do { try FileManager.default.removeItem(atPath: folder) } catch { Issue.record(error) } }
    try await body(try FileObjectStore.creating(root: folder + "/store"), folder)
  }

  /// What a store tells of objects; some of them are too large to be held.
  private func put(_ store: FileObjectStore) async throws -> (entries: [ManifestEntry], contents: [[UInt8]]) {
    var entries: [ManifestEntry] = []
    var contents: [[UInt8]] = []
    for (number, size) in [0, 1, 511, 512, 513, 5 << 20, 70_000, 1].enumerated() {
      let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ number) }
      let info = try await store.put("in/\(number).bin", from: .bytes(bytes))
      var hash = try #require(ChecksumHash(like: .md5("")))
      hash.update(bytes)
      entries.append(ManifestEntry(path: "\(number).bin", size: info.size, checksum: hash.checksum, tag: info.tag))
      contents.append(bytes)
    }
    return (entries, contents)
  }

  @Test func writesATarAndSaysWhereItsMembersAre() async throws {
    try await with { store, folder in
      let (entries, contents) = try await put(store)
      let done = Mutex<Int64>(0)
      let index = try await ShardBuilder(store: store) { "in/" + $0.path }.build(entries, at: folder + "/tar") {
        count in
        done.withLock { $0 += count }
      }
      let tar = [UInt8](try Data(contentsOf: URL(fileURLWithPath: folder + "/tar")))
      #expect(done.withLock { $0 } == entries.reduce(0) { $0 + $1.size })
      #expect(index.members.map(\.file.path) == entries.map(\.path))
      for (member, content) in zip(index.members, contents) {
        #expect(Array(tar[Int(member.offset)..<Int(member.offset) + content.count]) == content)
        #expect(member.file.checksum == .sha256(ContentHash.of(content)))
      }
      var reader = TarReader(length: Int64(tar.count))
      var found: [String] = []
      loop: while true {
        switch try reader.next() {
        case .read(let range): try reader.take(Array(tar[Int(range.lowerBound)..<Int(range.upperBound)]))
        case .member(let member): found.append(member.path)
        case .end: break loop
        }
      }
      #expect(found == entries.map(\.path))
      #expect(ShardIndex(parsing: index.text) == index)
    }
  }

  @Test(arguments: [1, 5]) func refusesAnObjectThatIsNotWhatItWas(number: Int) async throws {
    try await with { store, folder in
      var (entries, contents) = try await put(store)
      contents[number][0] ^= 1
      let info = try await store.put("in/\(number).bin", from: .bytes(contents[number]))
      let replaced = await #expect(throws: ObjectStoreError.self) {
        try await ShardBuilder(store: store) { "in/" + $0.path }.build(entries, at: folder + "/tar") { _ in }
      }
      #expect(replaced?.code == .changed && replaced?.key == "in/\(number).bin")
      // The same version by its tag, and other bytes.
      entries[number].tag = info.tag
      let wrong = await #expect(throws: ObjectStoreError.self) {
        try await ShardBuilder(store: store) { "in/" + $0.path }.build(entries, at: folder + "/tar") { _ in }
      }
      #expect(wrong?.code == .checksumMismatch && wrong?.key == "in/\(number).bin")
    }
  }
}
