import Testing

@testable import Commands

@Suite struct TableTests {
  private func table() -> Table {
    var table = Table([.init("JOB"), .init("NAME", shrinks: true), .init("STEP", isRight: true), .init("STATE")])
    table.add(["job-1", "a", "5", "RUNNING"])
    table.add(["job-17", "a-long-name-of-a-job", "1200", .init("FAILED", .red)])
    return table
  }

  @Test func alignsColumnsAndEndsNoLineWithSpaces() {
    #expect(
      table().rendered(width: nil) == """
        JOB     NAME                  STEP  STATE
        job-1   a                        5  RUNNING
        job-17  a-long-name-of-a-job  1200  FAILED
        """)
  }

  @Test func cutsTheWidestColumnThatMayBeCut() {
    let lines = table().rendered(width: 36).split(separator: "\n")
    #expect(lines.allSatisfy { $0.count <= 36 })
    #expect(lines[2] == "job-17  a-long-name-…  1200  FAILED")
  }

  @Test func overflowsRatherThanCutWhatMustBeReadInFull() {
    let lines = table().rendered(width: 10).split(separator: "\n")
    #expect(lines[2].hasPrefix("job-17  a-long-na…"))
    #expect(lines[2].hasSuffix("FAILED"))
  }

  @Test func leavesOutWhatMattersLeastBeforeALineIsTooLong() {
    var table = Table([.init("JOB"), .init("START", drops: 1), .init("END", drops: 0), .init("STATE")])
    table.add(["job-1", "18:00:00", "19:00:00", "RUNNING"])
    #expect(table.rendered(width: 34) == "JOB    START     END       STATE\njob-1  18:00:00  19:00:00  RUNNING")
    #expect(table.rendered(width: 33) == "JOB    START     STATE\njob-1  18:00:00  RUNNING")
    #expect(table.rendered(width: 15) == "JOB    STATE\njob-1  RUNNING")
  }

  @Test func breaksSentencesBetweenWords() {
    #expect(Prose.lines("the job wants 2 nodes", width: 10) == ["the job", "wants 2", "nodes"])
    #expect(Prose.lines("abcdefghijkl m", width: 5) == ["abcde", "fghij", "kl m"])
    #expect(Prose.wrapped("a\n  one two three four five six", width: 20) == "a\n  one two three four\n    five six")
    var facts = Facts()
    facts.add("because", "the job wants two nodes of one")
    #expect(facts.rendered(width: 29) == "because  the job wants two\n         nodes of one")
  }

  @Test func paintsCellsWithoutMovingThem() {
    let painted = table().rendered(width: nil) { text, ink in ink == .red ? "<\(text)>" : text }
    #expect(painted.hasSuffix("1200  <FAILED>"))
  }

  @Test func fillsMissingCellsAndDropsSurplusOnes() {
    var table = Table([.init("A"), .init("B")])
    table.add(["1"])
    table.add(["1", "2", "3"])
    #expect(table.rendered(width: nil) == "A  B\n1\n1  2")
  }

  @Test func showsControlCharactersOfOthersInsteadOfObeyingThem() {
    var table = Table([.init("NAME")])
    table.add([.init("a\u{1B}[2Jb\nc")])
    #expect(table.rendered(width: nil) == "NAME\na\u{FFFD}[2Jb\u{FFFD}c")
  }

  @Test func alignsFactsAndLeavesOutWhatIsUnknown() {
    var facts = Facts()
    facts.add("id", "job-1")
    facts.add("exit code", nil)
    facts.add("priority", "50")
    #expect(facts.rendered() == "id        job-1\npriority  50")
  }
}
