import Testing

@testable import Launching

@Suite struct LineSplitterTests {
  @Test(arguments: 1...7) func putsLinesTogetherWhereverTheyWereCut(piece: Int) {
    let text = Array("one\n\ntwo and three\nrest".utf8)
    var splitter = LineSplitter()
    var lines: [String] = []
    for start in stride(from: 0, to: text.count, by: piece) {
      lines += splitter.add(Array(text[start..<min(start + piece, text.count)])).map {
        String(decoding: $0, as: UTF8.self)
      }
    }
    #expect(lines == ["one", "", "two and three"])
  }

  @Test(arguments: [1, 3, 64]) func cutsALineThatIsTooLongAndGoesOnBehindIt(piece: Int) {
    let text = Array(("short\n" + String(repeating: "x", count: 50) + "\n12345678\nrest").utf8)
    var splitter = LineSplitter(limit: 8)
    var lines: [String] = []
    for start in stride(from: 0, to: text.count, by: piece) {
      lines += splitter.add(Array(text[start..<min(start + piece, text.count)])).map {
        String(decoding: $0, as: UTF8.self)
      }
    }
    #expect(lines == ["short", "xxxxxxxx" + LineSplitter.cutMark, "12345678"])
    #expect(splitter.consumed == Int64(text.count - 4))
  }
}
