import APIClient
import Testing

@Suite struct ServerSentEventTests {
  private func events(_ text: String, in pieces: Int = 1) -> [ServerSentEvent] {
    var parser = ServerSentEventParser()
    let bytes = Array(text.utf8)
    return stride(from: 0, to: bytes.count, by: pieces).flatMap { start in
      parser.push(bytes[start..<min(bytes.count, start + pieces)])
    }
  }

  @Test(arguments: 1...7) func readsEventsHoweverTheyAreCut(_ pieces: Int) {
    let text = ": hello\n\nevent: job\nid: 7\ndata: {\"ä\":1}\n\ndata: two\r\ndata:  lines\r\n\r\nevent: job\rdata\r\r"
    #expect(
      events(text, in: pieces) == [
        ServerSentEvent(name: "job", data: "{\"ä\":1}", id: "7"),
        ServerSentEvent(name: "message", data: "two\n lines", id: "7"),
        ServerSentEvent(name: "job", data: "", id: "7"),
      ])
  }

  @Test func skipsAByteOrderMark() {
    #expect(events("\u{FEFF}data: a\n\n") == [ServerSentEvent(name: "message", data: "a")])
  }

  @Test func givesNoEventForWhatHasNoData() {
    #expect(events("event: job\n\nretry: 5\n\n: comment\n\n").isEmpty)
  }

  @Test func keepsAnUnfinishedEventBack() {
    var parser = ServerSentEventParser()
    #expect(parser.push("data: a\n".utf8).isEmpty)
    #expect(parser.push("\n".utf8) == [ServerSentEvent(name: "message", data: "a")])
  }

  @Test func forgetsTheNameAfterAnEventAndIgnoresUnknownFields() {
    #expect(
      events("event: a\ndata: 1\nfoo: bar\n\ndata:2\n\n") == [
        ServerSentEvent(name: "a", data: "1"), ServerSentEvent(name: "message", data: "2"),
      ])
  }
}
