import Domain
import Foundation
import Testing

private func manifest(_ paths: [String]) -> Manifest? {
  Manifest(paths.map { ManifestEntry(path: $0, size: 1, sha256: String(repeating: "0", count: 64)) })
}

@Suite struct ManifestTests {
  @Test(
    arguments: [
      "a", "a/b", "a/b/c.bin", ".hidden", "..a", "a..", "a/...", "a b", "-rf", "ä/ö", "a\\b", "a:b", "~", "*",
      "a\u{301}",
    ])
  func takesAPathBelowTheFolder(path: String) { #expect(ManifestEntry.isSafe(path: path)) }

  @Test(
    arguments: [
      "", "/", "/a", "a/", "a//b", ".", "..", "./a", "../a", "a/.", "a/..", "a/./b", "a/../b", "a\0b", "a\nb",
      // One Character each for Swift, a slash and an accent for the kernel.
      "/\u{301}a", "../\u{301}a", "a/../\u{301}b", "a/\u{301}/..", "..\u{2F}\u{20D7}a",
    ])
  func refusesAPathThatCouldLeaveIt(path: String) {
    #expect(!ManifestEntry.isSafe(path: path))
    #expect(manifest([path]) == nil)
  }

  @Test func sortsByBytes() {
    #expect(manifest(["b", "a/b", "a-b", "é", "Z", "a0"])?.entries.map(\.path) == ["Z", "a-b", "a/b", "a0", "b", "é"])
  }

  @Test(arguments: [["a", "a"], ["a", "a/b"], ["a", "a-b", "a/b"], ["a/b", "a/b/c/d", "a/c"], ["x/\u{301}y", "x"]])
  func refusesAPathTwiceOrAFileThatIsAFolder(paths: [String]) {
    #expect(manifest(paths) == nil)
    #expect(manifest(paths.reversed()) == nil)
  }

  @Test func takesNeighboursWithACommonPrefix() {
    #expect(manifest(["a-b", "a/b", "ab", "a.b", "a/bc"])?.entries.count == 5)
  }

  @Test func refusesNegativeLengths() {
    #expect(Manifest([ManifestEntry(path: "a", size: -1, sha256: "")]) == nil)
  }

  @Test func addsUpWithoutTrapping() {
    let huge = ["a", "b"].map { ManifestEntry(path: $0, size: .max, sha256: "") }
    #expect(Manifest(huge)?.total == ByteCount(.max))
    #expect(manifest(["a", "b"])?.total == ByteCount(2))
    #expect(Manifest([])?.total == .zero)
  }

  @Test func writesOneCanonicalLineForEachEntry() {
    let entries = [
      ManifestEntry(path: "b", size: 20, sha256: "ff"), ManifestEntry(path: "a c", size: 3, sha256: "ee"),
    ]
    #expect(Manifest(entries)?.canonicalText == "ee 3 a c\nff 20 b\n")
    #expect(Manifest(entries.reversed())?.canonicalText == Manifest(entries)?.canonicalText)
  }
}

@Suite struct InPlaceManifestTests {
  private func entry(_ path: String, _ checksum: Checksum, tag: String? = nil, size: Int64 = 1) -> ManifestEntry {
    ManifestEntry(path: path, size: size, checksum: checksum, tag: tag)
  }

  @Test func anEntryKeepsWhatTheStoreSays() throws {
    let sha256 = String(repeating: "a", count: 64)
    let md5 = String(repeating: "b", count: 32)
    let entries = [
      entry("a", .sha256(sha256)), entry("b", .md5(md5), tag: "t"), entry("c", .opaque("x-2"), tag: "x-2"),
    ]
    let data = try JSONEncoder().encode(entries)
    #expect(try JSONDecoder().decode([ManifestEntry].self, from: data) == entries)
    let plain = #"{"path":"a","size":1,"sha256":"\#(sha256)"}"#
    #expect(try JSONDecoder().decode(ManifestEntry.self, from: Data(plain.utf8)) == entries[0])
    #expect(throws: DecodingError.self) {
      try JSONDecoder().decode(
        ManifestEntry.self, from: Data(#"{"path":"a","size":1,"sha256":"md5:\#(md5)"}"#.utf8))
    }
  }

  @Test func theIDIsOfTheContentAndNotOfItsTags() throws {
    let md5 = Checksum.md5(String(repeating: "b", count: 32))
    let one = try #require(Manifest([entry("a", md5, tag: "1")]))
    let two = try #require(Manifest([entry("a", md5, tag: "2")]))
    #expect(one.canonicalText == two.canonicalText && one != two)
    #expect(one.canonicalText == "md5:\(String(repeating: "b", count: 32)) 1 a\n")
    #expect(one.changes(to: two).isEmpty)
  }

  @Test func tellsWhatIsDifferent() throws {
    let old = try #require(
      Manifest([entry("a", .opaque("1")), entry("b", .opaque("2")), entry("c", .opaque("3")), entry("d", .opaque("4"))])
    )
    let new = try #require(
      Manifest([
        entry("0", .opaque("0")), entry("b", .opaque("x")), entry("c", .opaque("3")),
        entry("d", .opaque("4"), size: 2), entry("e", .opaque("5")),
      ]))
    #expect(old.changes(to: new) == ManifestChanges(new: 2, changed: 2, gone: 1))
    #expect(new.changes(to: old) == ManifestChanges(new: 1, changed: 2, gone: 2))
    #expect("\(old.changes(to: new)), \(old.changes(to: old))" == "2 new, 2 changed, 1 gone, unchanged")
  }
}
