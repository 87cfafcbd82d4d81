import Domain
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
