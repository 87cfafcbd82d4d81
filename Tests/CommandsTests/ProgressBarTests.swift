import Domain
import Testing

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
