/// One event of a `text/event-stream`.
public struct ServerSentEvent: Sendable, Hashable {
  /// Its kind; `message` where the stream names none.
  public var name: String
  /// Its lines of data, joined.
  public var data: String
  /// The last id that the stream has named.
  public var id: String?

  /// An event.
  public init(name: String, data: String, id: String? = nil) {
    self.name = name
    self.data = data
    self.id = id
  }
}

/// Takes a `text/event-stream` apart, however it is cut into pieces.
///
/// After the WHATWG HTML standard, section 9.2.6: lines end with CR, LF or CRLF, a byte order mark at the beginning
/// is skipped, an event without data is none, `retry` and unknown fields are ignored.
public struct ServerSentEventParser: Sendable {
  private var line: [UInt8] = []
  private var skipsLineFeed = false
  private var atStart = true
  private var name = ""
  private var data: [String] = []
  private var id: String?

  /// A parser at the beginning of a stream.
  public init() {}

  /// The events that `bytes` complete, in order.
  ///
  /// What is left without an empty line after it waits for more bytes.
  public mutating func push(_ bytes: some Sequence<UInt8>) -> [ServerSentEvent] {
    var events: [ServerSentEvent] = []
    for byte in bytes {
      let follows = skipsLineFeed
      skipsLineFeed = false
      switch byte {
      case UInt8(ascii: "\n") where follows:
        continue
      case UInt8(ascii: "\n"), UInt8(ascii: "\r"):
        skipsLineFeed = byte == UInt8(ascii: "\r")
        if let event = endLine() { events.append(event) }
      default:
        line.append(byte)
      }
    }
    return events
  }

  private mutating func endLine() -> ServerSentEvent? {
    defer { line.removeAll(keepingCapacity: true) }
    if atStart {
      atStart = false
      if line.starts(with: [0xEF, 0xBB, 0xBF]) { line.removeFirst(3) }
    }
    if line.isEmpty { return dispatch() }
    let colon = line.firstIndex(of: UInt8(ascii: ":"))
    let field = String(decoding: line[..<(colon ?? line.endIndex)], as: UTF8.self)
    var rest = colon.map { line[($0 + 1)...] } ?? []
    if rest.first == UInt8(ascii: " ") { rest = rest.dropFirst() }
    let value = String(decoding: rest, as: UTF8.self)
    switch field {
    case "event": name = value
    case "data": data.append(value)
    case "id" where !value.utf8.contains(0): id = value
    default: break
    }
    return nil
  }

  private mutating func dispatch() -> ServerSentEvent? {
    defer {
      name = ""
      data = []
    }
    guard !data.isEmpty else { return nil }
    return ServerSentEvent(name: name.isEmpty ? "message" : name, data: data.joined(separator: "\n"), id: id)
  }
}
