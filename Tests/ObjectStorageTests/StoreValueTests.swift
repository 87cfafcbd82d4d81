import Domain
import Foundation
import Testing
import Wire

@testable import ObjectStorage

/// The parts of the stores that are values.
struct StoreValueTests {
  @Test func pausesGrowAreShortenedByChanceAndEnd() {
    let policy = StoreRetryPolicy(
      tries: 5, firstPause: .seconds(1), longestPause: .seconds(5), budget: .seconds(20))
    #expect((1...5).map { policy.pause(afterFailure: $0, random: 1) } == [1, 2, 4, 5, 5].map { .seconds($0) })
    #expect(policy.pause(afterFailure: 3, random: 0.5) == .seconds(2))
    #expect(policy.pause(afterFailure: 99, random: 0) == .zero)
    var budget = RetryBudget(policy, now: .seconds(100))
    #expect(budget.pause(now: .seconds(100), random: 1) == .seconds(1))
    #expect(budget.pause(asked: .seconds(7), now: .seconds(101), random: 1) == .seconds(7))
    #expect(budget.pause(asked: .seconds(60), now: .seconds(108), random: 1) == nil)
    budget.progressed(now: .seconds(200))
    #expect((0..<5).map { _ in budget.pause(now: .seconds(200), random: 1) }.last == .some(nil))
  }

  @Test func callersWithMorePatienceTryOn() async throws {
    let pauses = Pauses()
    let failures = Counter()
    let value = try await retrying(tries: 4, pacing: pauses.pacing) {
      if failures.next() < 3 { throw ObjectStoreError(.unavailable, key: "k", reason: "no") }
      return 7
    }
    #expect(value == 7)
    await expect(.notFound) {
      try await retrying(pacing: pauses.pacing) { throw ObjectStoreError(.notFound, key: "k", reason: "no") }
    }
  }

  @Test func checksumsAreText() throws {
    let sha256 = String(repeating: "0a", count: 32)
    let md5 = String(repeating: "f1", count: 16)
    for (text, checksum) in [
      (sha256, Checksum.sha256(sha256)), ("md5:\(md5)", .md5(md5)), ("etag:\(md5)-3", .opaque("\(md5)-3")),
      ("sha256-1000:\(sha256)", .composite(sha256, length: 1000)),
    ] {
      #expect(Checksum(text) == checksum)
      #expect(checksum.description == text)
      #expect(try JSONDecoder().decode([Checksum].self, from: JSONEncoder().encode([checksum])) == [checksum])
    }
    let none = ["sha256-:", "sha256-0:", "sha256--1:", "sha256-+1:", "sha256-01:"].map { $0 + sha256 }
    for text in ["", "etag:", "md5:12", "md5:\(sha256)", md5, sha256.uppercased(), "sha256-1:\(md5)"] + none {
      #expect(Checksum(text) == nil)
    }
  }

  @Test func aCompositeIsThatOfItsStretchesHoweverTheBytesCome() throws {
    let bytes = (0..<2500).map { UInt8(truncatingIfNeeded: $0 / 7) }
    let chunks = [bytes[..<1000], bytes[1000..<2000], bytes[2000...]].map { ContentHash.of(Array($0)) }
    let checksum = Checksum.ofChunks(chunks, length: 1000)
    #expect(checksum == .composite(ContentHash.of(Array(chunks.joined().utf8)), length: 1000))
    for step in [1, 999, 1000, 1001, 2500] {
      var hash = try #require(ChecksumHash(like: checksum))
      for start in stride(from: 0, to: bytes.count, by: step) {
        hash.update(Array(bytes[start..<min(bytes.count, start + step)]))
      }
      #expect(hash.checksum == checksum)
    }
    #expect(checksum.matches(Array(bytes.dropLast())) == false)
    #expect(Checksum.ofChunks(Array(chunks[..<1]), length: 1000) == .sha256(chunks[0]))
    #expect(Checksum.ofChunks([], length: 1000) == .sha256(ContentHash.of([])))
  }

  @Test func readsWhatS3WritesAndNothingElse() throws {
    let text = """
      <?xml version="1.0"?>\n<!-- x --><s:A xmlns="u" b='c>'><B>a&lt;&#x41;&#66;&amp;<![CDATA[<x>]]></B><B/><C d="e" /></s:A>
      """
    let root = try XMLElement.parse(Array(text.utf8))
    #expect(root.name == "A")
    #expect(root.all("B").map(\.text) == ["a<AB&<x>", ""])
    for bad in [
      "", "<a>", "<a></b>", "<a>&x;</a>", "<!DOCTYPE a><a/>", "<a/><b/>", "<a b></a>", "<a b=c/>", "a",
      "<a>&#xD800;</a>",
      String(repeating: "<a>", count: 17) + String(repeating: "</a>", count: 17),
    ] {
      #expect(throws: XMLElement.Fault.self, "\(bad)") { try XMLElement.parse(Array(bad.utf8)) }
    }
  }

  @Test func cutOrChangedDocumentsNeverCrash() {
    let text = Array("<a x=\"1\"><b>&amp;é</b><!-- c --><![CDATA[d]]></a>".utf8)
    for length in text.indices { _ = try? XMLElement.parse(Array(text[..<length])) }
    for index in text.indices {
      for byte in [0, 0x3c, 0x3e, 0x26, 0xff] as [UInt8] {
        var changed = text
        changed[index] = byte
        _ = try? XMLElement.parse(changed)
      }
    }
  }

  @Test func escapesAllButTheUnreserved() {
    let text = "a-B_9.~/ é%+&=\u{1F642}"
    let escaped = PercentEncoding.encode(text)
    #expect(escaped == "a-B_9.~%2F%20%C3%A9%25%2B%26%3D%F0%9F%99%82")
    #expect(PercentEncoding.decode(escaped) == text)
    #expect(PercentEncoding.decode("%4") == nil)
    #expect(PercentEncoding.decode("%FF") == nil)
  }

  @Test func readsLocations() throws {
    #expect(try ObjectStoreLocation("file:///srv/store") == .file(path: "/srv/store"))
    #expect(try ObjectStoreLocation("s3://bucket") == .s3(bucket: "bucket", prefix: ""))
    #expect(try ObjectStoreLocation("S3://bucket/a/b") == .s3(bucket: "bucket", prefix: "a/b/"))
    #expect(try ObjectStoreLocation("swift://my container/a/") == .swift(container: "my container", prefix: "a/"))
    for text in ["s3://bucket/a/", "swift://c", "file:///x"] {
      #expect(try ObjectStoreLocation(text).description == text)
    }
    for (text, hint) in [
      ("/srv/store", "file:///srv/store"), ("file://srv", "file:///srv"), ("s3://", "missing"), ("s3://ab", "3 to 63"),
      ("https://host/bucket", "credentials"), ("swift://c/../d", "prefix"), ("gs://bucket", "unknown"),
      ("bucket", "s3://"), ("s3://user@bucket", "'@'"),
    ] {
      #expect { try ObjectStoreLocation(text) } throws: { "\($0)".contains(hint) }
    }
  }

  @Test func saysNoSecretAloud() async throws {
    let credentials: [ObjectStoreCredentials] = [
      .s3(
        S3Credentials(
          endpoint: "https://s3", region: "r", isVirtualHosted: false, accessKey: "name", secretKey: "hidden")),
      .swift(SwiftCredentials(authentication: .v1(url: "http://a/auth/v1.0", user: "u", key: "hidden"))),
      .swift(SwiftCredentials(authentication: .applicationCredential(url: "http://a/v3", id: "i", secret: "hidden"))),
    ]
    let accesses: [StoreAccess] = [
      .swiftTempURL(
        SwiftTempURLAccess(
          origin: "http://h", containerPath: "/v1/A/c", prefix: "",
          grants: [.init(method: "GET", prefix: "", signature: "hidden")], expires: 1_800_000_000)),
      .s3(
        S3Access(
          endpoint: "http://h", region: "r", bucket: "b", prefix: "", isVirtualHosted: false, accessKey: "a",
          sessionToken: "hidden", days: [.init(day: "20261121", key: "hidden")])),
    ]
    for text in ["\(credentials)", "\(accesses)", String(reflecting: credentials), String(reflecting: accesses)] {
      #expect(!text.contains("hidden"), "\(text)")
    }
    var dumped = ""
    dump(credentials, to: &dumped)
    dump(accesses, to: &dumped)
    #expect(!dumped.contains("hidden"), "\(dumped)")
    #expect(try JSONDecoder().decode([StoreAccess].self, from: JSONEncoder().encode(accesses)) == accesses)
    await expect(.badRequest) { _ = try ObjectStoreLocation("s3://bucket").open(credentials[1]) }
  }

  @Test func tokensAreRenewedBeforeTheyEnd() throws {
    let long = try #require(SwiftSession(token: "t", storageURL: "http://h:1/v1/AUTH_%C3%A9/", life: .seconds(86_400)))
    #expect(long.path == "/v1/AUTH_é")
    #expect(long.renewAt(asked: .seconds(10)) == .seconds(86_110))
    let short = try #require(SwiftSession(token: "t", storageURL: "http://h", life: .seconds(100)))
    #expect(short.renewAt(asked: .zero) == .seconds(90))
    #expect(SwiftSession(token: "t", storageURL: "h/v1", life: nil) == nil)
  }
}

private final class Counter: @unchecked Sendable {
  // Used by one task.
  private var count = 0

  func next() -> Int {
    defer { count += 1 }
    return count
  }
}
