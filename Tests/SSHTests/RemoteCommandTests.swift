import SSH
import Testing

struct RemoteCommandTests {
  /// A quote and a mark that joins it are one character to Swift and two to the shell.
  @Test(arguments: ["'\u{301}; touch /tmp/x; '\u{301}", "'\u{fe0f}", "a'\u{200d}b", "\r\n'\r\n"])
  func quotesEveryQuoteWhateverStandsBehindIt(word: String) {
    let quoted = RemoteCommand.quote(word).unicodeScalars
    // As the shell reads it: every quote ends or begins a part, and between two parts stands \' alone.
    var parts = quoted.split(separator: "'", omittingEmptySubsequences: false)
    #expect(parts.removeFirst().isEmpty && parts.removeLast().isEmpty)
    let inside = parts.enumerated().filter { $0.offset % 3 == 0 }.map { String($0.element) }
    #expect(inside.joined(separator: "'").unicodeScalars.elementsEqual(word.unicodeScalars))
    let between = parts.enumerated().filter { $0.offset % 3 == 1 }.map { String($0.element) }
    #expect(between.allSatisfy { $0 == "\\" })
  }
}
