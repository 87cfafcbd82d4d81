import Testing

@testable import NodeAgent

@Suite struct LastWordsTests {
  @Test(
    arguments: [
      ("", nil), ("\n \n", nil), ("one\ntwo\n\n", "two"), ("no end", "no end"), ("  bent \n", "bent "),
      ("red\u{1B}[31m\ttext", "red [31m text"),
    ] as [(String, String?)])
  func isTheLastLineThatSaysAnything(text: String, words: String?) {
    #expect(LastWords.find(in: text) == words)
  }

  @Test func isTheErrorOfATracebackWhateverComesBehindIt() {
    let text = """
      step 7
      Traceback (most recent call last):
        File "train.py", line 3, in <module>
          load()
      KeyError: 'first'

      During handling of the above exception, another exception occurred:

      Traceback (most recent call last):
        File "train.py", line 9, in <module>
          main()
      RuntimeError: CUDA error: device-side assert triggered
      For debugging consider passing CUDA_LAUNCH_BLOCKING=1.

      [W socket.cpp:1] the store is gone
      """
    #expect(LastWords.find(in: text) == "RuntimeError: CUDA error: device-side assert triggered")
    let ranked = text.split(separator: "\n").map { "[rank12]: \($0)" }.joined(separator: "\n")
    #expect(LastWords.find(in: ranked) == "RuntimeError: CUDA error: device-side assert triggered")
    #expect(
      LastWords.find(in: "Traceback (most recent call last):\n  File \"a\"") == "File \"a\"", "it was killed there")
  }

  @Test func isCutWhereNobodyWouldReadOn() {
    #expect(LastWords.find(in: String(repeating: "x", count: 300)) == String(repeating: "x", count: 240) + "...")
  }
}
