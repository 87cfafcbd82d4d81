import Domain
import Testing
import Wire

@testable import Commands

@Suite struct ProgressBarTests {
  private func bar(isTerminal: Bool, width: Int = 80) -> ProgressBar {
    ProgressBar(label: "sending", total: .mebibytes(100), isTerminal: isTerminal, width: width, at: .seconds(100))
  }

  @Test func movesOneLineOnATerminal() throws {
    var bar = bar(isTerminal: true)
    let update = bar.update(.mebibytes(25), at: .seconds(105))
    let text = try #require(update)
    #expect(text.hasPrefix("\r\u{1B}[Ksending [█"))
    #expect(text.hasSuffix("25% 25.0 MiB of 100 MiB 5.00 MiB/s 15s left"))
    #expect(!text.contains("\n"))
    #expect(text.count - 4 < 80)
  }

  @Test func drawsNoMoreThanTenTimesASecond() {
    var bar = bar(isTerminal: true)
    #expect(bar.update(.mebibytes(1), at: .seconds(101)) != nil)
    #expect(bar.update(.mebibytes(2), at: .seconds(101.05)) == nil)
    #expect(bar.update(.mebibytes(3), at: .seconds(101.11)) != nil)
  }

  @Test func writesALineForATenthElsewhereAndSeldom() {
    var bar = bar(isTerminal: false)
    #expect(bar.update(.mebibytes(1), at: .seconds(101)) == "sending: 1% 1.00 MiB of 100 MiB 1.00 MiB/s 1m 39s left\n")
    #expect(bar.update(.mebibytes(5), at: .seconds(107)) == nil)
    #expect(bar.update(.mebibytes(12), at: .seconds(108)) != nil)
    #expect(bar.update(.mebibytes(30), at: .seconds(109)) == nil)
    #expect(bar.update(.mebibytes(31), at: .seconds(113)) != nil)
  }

  @Test(arguments: [true, false]) func tellsTheEndOnce(_ isTerminal: Bool) {
    var bar = bar(isTerminal: isTerminal)
    _ = bar.update(.mebibytes(99), at: .seconds(110))
    #expect(bar.update(.mebibytes(100), at: .seconds(110))?.hasSuffix("100 MiB 10.0 MiB/s\n") == true)
    #expect(bar.update(.mebibytes(100), at: .seconds(111)) == nil)
  }

  @Test func fitsANarrowTerminal() {
    var bar = bar(isTerminal: true, width: 20)
    let text = bar.update(.mebibytes(25), at: .seconds(105))
    #expect(text == "\r\u{1B}[Ksending 25% 25.0 M…")
  }

  @Test func isDoneAtOnceWithNothingToDo() {
    var bar = ProgressBar(label: "x", total: .zero, isTerminal: false, width: 80, at: .zero)
    #expect(bar.update(.zero, at: .zero) == "x: 100% 0 B of 0 B\n")
  }
}

@Suite struct ProgressBoardTests {
  private func step(_ node: String, _ done: Int64, rate: Int64? = nil) -> DataProgress {
    DataProgress(
      node: node, done: .mebibytes(done), total: .mebibytes(100), rate: rate.map { .mebibytes($0) },
      eta: rate.map { .seconds(Double(100 - done) / Double($0)) })
  }

  @Test func drawsALineForEachNodeOnATerminal() throws {
    var board = ProgressBoard("staging", isTerminal: true, width: 100)
    let first = board.update(step("n1", 25, rate: 5), at: .seconds(1))
    let one = try #require(first)
    #expect(one.contains("n1  [█████               ] 25% 25.0 MiB of 100 MiB 5.00 MiB/s 15s left\n"))
    let second = board.update(step("node-2", 50), at: .seconds(1))
    let two = try #require(second)
    #expect(two.hasPrefix("\u{1B}[1A\r\u{1B}[Kn1      [") && two.contains("\u{1B}[Knode-2  [██████████ "))
    #expect(board.update(step("n1", 26), at: .seconds(1.05)) == nil)
    #expect(board.update(step("n1", 27), at: .seconds(1.2))?.hasPrefix("\u{1B}[2A") == true)
    let last = board.end()
    let end = try #require(last)
    #expect(end.contains("27%") && end.contains("50%"))
  }

  @Test func tellsATenthOfEachNodeElsewhere() {
    var board = ProgressBoard("staging", isTerminal: false, width: 80)
    #expect(board.update(step("n1", 25), at: .seconds(1))?.hasPrefix("n1: [█████") == true)
    #expect(board.update(step("n2", 1), at: .seconds(1))?.hasPrefix("n2: ") == true)
    #expect(board.update(step("n1", 29), at: .seconds(2)) == nil)
    #expect(board.update(step("n1", 30), at: .seconds(3)) != nil)
    #expect(board.end() == nil)
  }

  @Test func countsWhereNobodyKnowsTheEnd() {
    var board = ProgressBoard("listing", isTerminal: false, width: 80)
    #expect(
      board.update(DataProgress(objects: 1000, done: .mebibytes(3)), at: .seconds(1))
        == "listing: 1000 objects 3.00 MiB\n")
  }
}
