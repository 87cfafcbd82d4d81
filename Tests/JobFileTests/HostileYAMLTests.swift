import Domain
import JobFile
import Testing

@Suite(.timeLimit(.minutes(5))) struct HostileYAMLTests {
  @Test func refusesKeysThatAreGivenTwice() {
    #expect(
      complaints("name: a\nrun: b\npriority: 1\npriority: 2\n")
        == ["job.yaml:3:1: given more than once: 'priority'; the first is here"])
    #expect(
      complaints("name: a\nrun: b\nenv:\n  A: 1\n  'A': 2\n").first?.hasPrefix("job.yaml:4:3: given more") == true)
  }

  @Test(
    arguments: [
      ("name: [", "job.yaml:2:1: not valid YAML"),
      ("name: a\n\trun: b", "job.yaml:2:1: not valid YAML"), ("a: b: c", "job.yaml:1:5"),
      ("run: 'x", "not valid YAML"), ("name: a\nrun: \u{1}", "job.yaml:2:6: not valid YAML"),
      ("name: a\n---\nname: b", "expected a single document"), ("", "the file is empty"),
      ("# no\n", "the file is empty"),
      ("x", "expected keys with values, found the text 'x'"), ("- a", "found a list"), ("~", "found nothing"),
      ("name: *a", "undefined alias"), ("name: !!binary aGk=\nrun: b", "the YAML tag 'tag:yaml.org,2002:binary'"),
      ("name: a\nrun: !sh b", "job.yaml:2:6: the YAML tag '!sh' is not supported"),
    ])
  func saysWhereTheYAMLIsBroken(text: String, words: String) {
    let found = complaints(text)
    #expect(found.first?.contains(words) == true, "\(found)")
  }

  @Test func refusesAnchors() {
    #expect(
      complaints("name: &n a\nrun: *n") == [
        "job.yaml:1:7: YAML anchors and aliases (&name, *name) are not supported: write the value out"
      ])
  }

  @Test func doesNotMistakeShellTextForAnchors() throws {
    let spec = try parseJobFile(
      "name: a\nrun: [bash, -c, 'a &b & c *d*; x=2*y']\n", fileName: "job.yaml")
    #expect(spec.command == ["bash", "-c", "a &b & c *d*; x=2*y"])
  }

  @Test(arguments: ["", "? "])
  func survivesABombOfAliases(key: String) {
    var text = "a: &a [x, x]\n"
    for letter in 1...40 { text += "\(key)&b\(letter) [*\(letter == 1 ? "a" : "b\(letter - 1)"), *a, *a, *a]\n: x\n" }
    #expect(complaints(text).count == 1)
  }

  @Test(arguments: ["[", "{", "- ", "? ", "{a: ", "[[a]: "])
  func survivesDeepNesting(opening: String) {
    let text = "run: b\nname:\n  " + String(repeating: opening, count: 200_000 / opening.count)
    #expect(complaints(text).count == 1)
  }

  @Test func survivesDeepIndentation() {
    let text = (0..<700).map { String(repeating: " ", count: $0) + "a:\n" }.joined()
    #expect(!complaints(text).isEmpty)
  }

  @Test func refusesALongFile() {
    let text = "name: a\nrun: b\n#" + String(repeating: "x", count: 256 * 1024)
    #expect(complaints(text) == ["job.yaml:1:1: the file has \(text.utf8.count) bytes; a job file has at most 262144"])
  }

  @Test func readsAFileOfAFewBytes() {
    for text in ["name: a", "a", "a: 1\nb: 2", "run: é"] { #expect(!complaints(text).isEmpty) }
  }

  @Test func readsWindowsLineEndsAndAByteOrderMark() throws {
    let spec = try parseJobFile("\u{FEFF}name: a\r\nrun: b c\r\n", fileName: "job.yaml")
    #expect(spec.command == ["b", "c"])
  }
}
