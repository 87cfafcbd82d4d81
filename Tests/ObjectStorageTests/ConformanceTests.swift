import Domain
import Foundation
import ObjectStorage
import Synchronization
import TestKit
import Testing
import Wire

/// What every store does, on real servers.
@Suite(.timeLimit(.minutes(5)), .serialized)
struct ConformanceTests {
  private let abc = Array("abc".utf8)
  private let abcHash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

  @Test(arguments: StoreKind.allCases)
  func givesBackWhatWasPut(kind: StoreKind) async throws {
    try await kind.with { place in
      let store = place.store
      let info = try await store.put("a/b/c", from: .bytes(abc), sha256: abcHash)
      #expect(info.size == 3)
      #expect(info.sha256 == abcHash)
      #expect(try await store.bytes("a/b/c") == abc)
      #expect(try await store.head("a/b/c") == info)
      #expect(try await store.head("a/x") == nil)
      await expect(.notFound) { _ = try await store.bytes("a/x") }
      let again = try await store.put("a/b/c", from: .bytes([1]))
      #expect(again.tag != info.tag)
      #expect(try await store.bytes("a/b/c") == [1])
      try await store.delete("a/b/c")
      try await store.delete("a/b/c")
      #expect(try await store.head("a/b/c") == nil)
    }
  }

  @Test(arguments: StoreKind.allCases)
  func believesAHashThatWasJustTaken(kind: StoreKind) async throws {
    let path = "\(FileManager.default.temporaryDirectory.path)/baton-\(UUID().uuidString)"
    try Data("xabcx".utf8).write(to: URL(fileURLWithPath: path))
    defer { try? FileManager.default.removeItem(atPath: path) }
    try await kind.with { place in
      let store = place.store
      let info = try await store.put("k", from: .hashed(path: path, 1..<4, sha256: abcHash), sha256: abcHash)
      #expect(info.size == 3)
      #expect(try await store.bytes("k") == abc)
      #expect(try await store.head("k") == info)
      try await verifyObject(store, key: "k", size: 3, sha256: abcHash)
      await expect(.sourceUnreadable) {
        _ = try await store.put("k-short", from: .hashed(path: path, 3..<6, sha256: abcHash))
      }
      #expect(try await store.head("k-short") == nil)
    }
  }

  @Test(arguments: StoreKind.allCases)
  func measuresAtMostOneByteMoreThanExpected(kind: StoreKind) async throws {
    try await kind.with { place in
      let store = place.store
      try await store.put("k", from: .bytes(abc))
      try await store.put("k-empty", from: .bytes([]))
      #expect(try await store.measure("k", expecting: 3) == ObjectMeasure(sha256: abcHash, size: 3))
      #expect(try await store.measure("k", expecting: 9) == ObjectMeasure(sha256: abcHash, size: 3))
      #expect(try await store.measure("k", expecting: 1).size == 2)
      #expect(try await store.measure("k-empty", expecting: 0) == ObjectMeasure(sha256: ContentHash.of([]), size: 0))
      await expect(.notFound) { _ = try await store.measure("k-none", expecting: 3) }
    }
  }

  @Test(arguments: StoreKind.allCases)
  func readsRangesOfOneVersion(kind: StoreKind) async throws {
    try await kind.with { place in
      let store = place.store
      let info = try await store.put("k", from: .bytes(Array("0123456789".utf8)))
      for (range, expected) in [(Int64(2)..<Int64(5), "234"), (8..<100, "89"), (10..<12, ""), (0..<10, "0123456789")] {
        #expect(try await read(store, "k", range, info.tag) == expected)
      }
      await expect(.badRequest) { _ = try await read(store, "k", 11..<12, nil) }
      await expect(.changed) { _ = try await read(store, "k", nil, "d41d8cd98f00b204e9800998ecf8427e") }
      try await store.put("k", from: .bytes(Array("abcdefghij".utf8)))
      await expect(.changed) { _ = try await read(store, "k", 2..<5, info.tag) }
    }
  }

  @Test(arguments: StoreKind.allCases)
  func keepsEmptyObjectsAndOddKeys(kind: StoreKind) async throws {
    try await kind.with { place in
      let store = place.store
      let keys = [
        "k", "a b+c%20d&e=f?g#h", "a/ü/日本語/🙂", "é/e\u{301}", "k;v=1,2:3@!$'()*~", "k\\back\"quote<>&amp;", "a/.hidden",
        "k\nline", "k%2Fnot-a-slash",
      ].filter { kind != .file && kind != .delegatedFile || !$0.contains("\n") }
      for key in keys { try await store.put(key, from: .bytes([])) }
      for key in keys {
        #expect(try await store.head(key)?.size == 0, "\(key)")
        #expect(try await store.bytes(key).isEmpty)
        #expect(try await read(store, key, 0..<5, nil).isEmpty)
      }
      let listed = try await place.owner.list(prefix: "", after: nil, limit: 100).entries.map(\.key)
      #expect(listed.map { Array($0.utf8) } == keys.map { Array($0.utf8) }.sorted { $0.lexicographicallyPrecedes($1) })
    }
  }

  @Test(arguments: StoreKind.allCases)
  func refusesOtherContentAndStoresNothing(kind: StoreKind) async throws {
    try await kind.with { place in
      await expect(.checksumMismatch) { try await place.store.put("k", from: .bytes([1]), sha256: abcHash) }
      let found = try await place.store.head("k")
      #expect(found == nil)
      for key in ["", "/k", "a//b", "../a", "a/../b", "a/", "k\0"] {
        await expect(.badKey) { try await place.store.put(key, from: .bytes([1])) }
      }
      await expect(.sourceUnreadable) { try await place.store.put("k", from: .file(path: "/nowhere/at/all")) }
    }
  }

  @Test(arguments: StoreKind.allCases)
  func writesOnceWhereAsked(kind: StoreKind) async throws {
    try await kind.with { place in
      let store = place.store
      _ = try await store.put("k", from: .bytes([1]), sha256: nil, replacing: false)
      await expect(.exists) { _ = try await store.put("k", from: .bytes([2]), sha256: nil, replacing: false) }
      #expect(try await store.bytes("k") == [1])
    }
  }

  @Test(arguments: StoreKind.allCases.filter { !$0.isLimited })
  func joinsPartsAndDropsThem(kind: StoreKind) async throws {
    try await kind.with { place in
      let store = place.store
      let pieces = (0..<3).map { [UInt8](repeating: UInt8($0), count: kind.leastPart + $0) }
      let upload = try await store.beginUpload("big/one")
      var parts: [UploadedPart] = []
      for index in [2, 0, 1] {
        parts.append(try await store.uploadPart(upload, number: index + 1, from: .bytes(pieces[index])))
      }
      #expect(try await store.head("big/one") == nil)
      let info = try await store.completeUpload(upload, parts: parts, replacing: false)
      #expect(try await store.head("big/one")?.tag == info.tag)
      #expect(try await store.bytes("big/one") == pieces.flatMap { $0 })
      let edge = Int64(kind.leastPart)
      #expect(try await bytes(store, "big/one", (edge - 1)..<(edge + 1), info.tag) == [0, 1])
      let other = try await store.beginUpload("big/one")
      let part = try await store.uploadPart(other, number: 1, from: .bytes([9]))
      await expect(.exists) { _ = try await store.completeUpload(other, parts: [part], replacing: false) }
      try await store.abortUpload(other)
      try await store.abortUpload(other)
      let entry = try #require(try await store.list(prefix: "big/", after: nil, limit: 9).entries.first)
      #expect(entry.size == info.size)
      #expect(entry.tag == info.tag)
      try await store.delete("big/one")
      #expect(try await store.list(prefix: "", after: nil, limit: 9).entries.isEmpty)
    }
  }

  @Test(arguments: StoreKind.allCases)
  func putsLargeFilesInPartsAndChecksThemWhenRead(kind: StoreKind) async throws {
    try await kind.with { place in
      let path = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString).path
      let content = [UInt8]((0..<(11 << 20) + 7).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) })
      try Data(content).write(to: URL(fileURLWithPath: path))
      defer { try? FileManager.default.removeItem(atPath: path) }
      let info = try await place.store.put("big/file", from: .file(path: path), sha256: nil, replacing: false)
      #expect(info.size == Int64(content.count))
      let head = try #require(try await place.store.head("big/file"))
      #expect(head == info)
      #expect(try await place.store.bytes("big/file") == content)
      await expect(.exists) {
        _ = try await place.store.put("big/file", from: .file(path: path), sha256: nil, replacing: false)
      }
      try await place.owner.delete("big/file")
      #expect(try await place.owner.head("big/file") == nil)
    }
  }

  @Test(arguments: [StoreKind.file, .swift, .keystone, .s3, .delegatedS3])
  func listsAnyNumberOfObjectsInPages(kind: StoreKind) async throws {
    let count = kind == .swift ? 2500 : 150
    try await kind.with(pageSize: kind == .swift ? 700 : 40) { place in
      try await withThrowingTaskGroup(of: Void.self) { group in
        for number in 0..<count {
          if number >= 8 { try await group.next() }
          group.addTask { try await place.store.put("k/\(number % 7)/é\(number)", from: .bytes([1])) }
        }
        try await group.waitForAll()
      }
      let expected = (0..<count).map { "k/\($0 % 7)/é\($0)" }.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
      for limit in [count / 3, 10_000] {
        var found: [String] = []
        var marker: String?
        repeat {
          let page = try await place.store.list(prefix: "k/", after: marker, limit: limit)
          #expect(page.entries.count <= limit)
          found += page.entries.map(\.key)
          marker = page.next
        } while marker != nil
        #expect(found == expected)
      }
      let part = try await place.store.list(prefix: "k/3/", after: "k/3/é17", limit: 5)
      #expect(
        part.entries.map(\.key) == Array(expected.filter { $0.hasPrefix("k/3/") }.drop { $0 <= "k/3/é17" }.prefix(5)))
      #expect(try await place.store.list(prefix: "nothing", after: nil, limit: 5) == ObjectPage(entries: [], next: nil))
    }
  }

  @Test func lendsNothingBeyondItsPrefixes() async throws {
    try await StoreKind.delegatedSwift.with { place in
      try await place.owner.put("read/x", from: .bytes(abc))
      try await place.owner.put("secret", from: .bytes(abc))
      #expect(try await place.store.bytes("read/x") == abc)
      await expect(.denied) { try await place.store.put("read/x", from: .bytes([1])) }
      await expect(.denied) { _ = try await place.store.bytes("secret") }
      await expect(.denied) { _ = try await place.store.list(prefix: "", after: nil, limit: 1) }
      let over = try await place.owner.delegate(read: [""], write: [], until: Timestamp(microseconds: 1_000_000))
      await expect(.denied) { _ = try await over.open(retry: StoreKind.quick).bytes("read/x") }
    }
  }

  @Test func lendsDaysAndNothingElse() async throws {
    try await StoreKind.s3.with { place in
      try await place.owner.put("k", from: .bytes(abc))
      let access = try await place.owner.delegate(
        read: [], write: [], until: Timestamp(secondsSinceEpoch: Date().timeIntervalSince1970))
      guard case .s3(let lent) = access else { throw OpenStackFailure(reason: "not S3") }
      let later = S3ObjectStore(lent, retry: StoreKind.quick, clock: { WallClock.seconds + 3 * 86_400 })
      await expect(.denied) { _ = try await later.bytes("k") }
      #expect(!"\(access)".contains(lent.days[0].key))
      #expect(!String(reflecting: [access]).contains(lent.days[0].key))
    }
  }
}

/// Expects an `ObjectStoreError` of that code.
func expect(
  _ code: ObjectStoreError.Code, sourceLocation: SourceLocation = #_sourceLocation, _ body: () async throws -> Void
) async {
  do {
    try await body()
    Issue.record("expected \(code)", sourceLocation: sourceLocation)
  } catch let error as ObjectStoreError {
    #expect(error.code == code, "\(error)", sourceLocation: sourceLocation)
  } catch {
    Issue.record("expected \(code), got \(error)", sourceLocation: sourceLocation)
  }
}

func bytes(_ store: any ObjectStore, _ key: String, _ range: Range<Int64>?, _ tag: String?) async throws -> [UInt8] {
  let gathered = Mutex<[UInt8]>([])
  try await store.get(key, range: range, ifTag: tag) { piece in gathered.withLock { $0 += piece } }
  return gathered.withLock { $0 }
}

func read(_ store: any ObjectStore, _ key: String, _ range: Range<Int64>?, _ tag: String?) async throws -> String {
  String(decoding: try await bytes(store, key, range, tag), as: UTF8.self)
}
