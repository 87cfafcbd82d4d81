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
    #expect(lines[2].hasPrefix("job-17  a-lon…"))
    #expect(lines[2].hasSuffix("FAILED"))
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
