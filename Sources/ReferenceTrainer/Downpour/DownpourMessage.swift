import FoundationEssentials
import Glibc

/// What workers and shards tell each other: five bytes (length of the body, little endian, and kind), then the body.
enum DownpourMessage: Equatable, Sendable {
  /// A worker's first words to a shard.
  case hello(session: String, rank: Int)
  /// Asks for the shard's parameters.
  case fetch
  case parameters([Float])
  /// Gradients to apply; nothing is answered.
  case push([Float])
  /// Asks for an answer once everything that came before it on this connection is applied.
  case settle
  case settled
  /// Asks for parameters and squares.
  case pull
  case contents(parameters: [Float], squares: [Float])
  /// Where a worker stands; only rank 0 is told, and answers with an order.
  case report(DownpourCoordinator.Report)
  case order(DownpourCoordinator.Order)
  /// The last word on a connection: what ends after it has not died.
  case goodbye

  /// The bytes of the whole message.
  func encoded() throws(Socket.Failure) -> [UInt8] {
    switch self {
    case .hello(let session, let rank): try Self.framed(1, json: NeighbourHello(session: session, rank: rank))
    case .fetch: Self.framed(2, [])
    case .parameters(let values): Self.framed(3, [values])
    case .push(let values): Self.framed(4, [values])
    case .settle: Self.framed(5, [])
    case .settled: Self.framed(6, [])
    case .pull: Self.framed(7, [])
    case .contents(let parameters, let squares): Self.framed(8, [parameters, squares])
    case .report(let report): try Self.framed(9, json: report)
    case .order(let order): try Self.framed(10, json: order)
    case .goodbye: Self.framed(11, [])
    }
  }

  /// Reads one body; nil for what no peer of this version says.
  init?(kind: UInt8, body: ArraySlice<UInt8>) {
    switch (kind, body.isEmpty) {
    case (1, false):
      guard let hello = Self.json(NeighbourHello.self, body) else { return nil }
      self = .hello(session: hello.session, rank: hello.rank)
    case (2, true): self = .fetch
    case (3, _) where body.count % 4 == 0: self = .parameters(Self.floats(body))
    case (4, _) where body.count % 4 == 0: self = .push(Self.floats(body))
    case (5, true): self = .settle
    case (6, true): self = .settled
    case (7, true): self = .pull
    case (8, _) where body.count % 8 == 0:
      let middle = body.startIndex + body.count / 2
      self = .contents(parameters: Self.floats(body[..<middle]), squares: Self.floats(body[middle...]))
    case (9, false):
      guard let report = Self.json(DownpourCoordinator.Report.self, body) else { return nil }
      self = .report(report)
    case (10, false):
      guard let order = Self.json(DownpourCoordinator.Order.self, body) else { return nil }
      self = .order(order)
    case (11, true): self = .goodbye
    default: return nil
    }
  }

  static let headerCount = 5

  /// A push of some of a buffer's values, without a copy in between.
  static func push(_ values: UnsafeBufferPointer<Float>) -> [UInt8] {
    var bytes = header(4, count: 4 * values.count)
    bytes.append(contentsOf: UnsafeRawBufferPointer(values))
    return bytes
  }

  private static func header(_ kind: UInt8, count: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(headerCount + count)
    withUnsafeBytes(of: UInt32(count).littleEndian) { bytes.append(contentsOf: $0) }
    bytes.append(kind)
    return bytes
  }

  /// Floats travel as they lie in memory: every machine this runs on is little endian.
  private static func framed(_ kind: UInt8, _ parts: [[Float]]) -> [UInt8] {
    var bytes = header(kind, count: 4 * parts.reduce(0) { $0 + $1.count })
    for part in parts { part.withUnsafeBytes { bytes.append(contentsOf: $0) } }
    return bytes
  }

  private static func framed(_ kind: UInt8, json value: some Encodable) throws(Socket.Failure) -> [UInt8] {
    do {
      let body = Array(try JSONEncoder().encode(value))
      return header(kind, count: body.count) + body
    } catch {
      throw Socket.Failure(number: EPROTO)
    }
  }

  private static func json<Value: Decodable>(_ type: Value.Type, _ body: ArraySlice<UInt8>) -> Value? {
    // What cannot be read is no message; the caller says so.
    try? JSONDecoder().decode(type, from: Data(body))
  }

  private static func floats(_ body: ArraySlice<UInt8>) -> [Float] {
    [Float](unsafeUninitializedCapacity: body.count / 4) { values, count in
      UnsafeMutableRawBufferPointer(values).copyBytes(from: body)
      count = body.count / 4
    }
  }
}

/// Takes a stream of bytes apart into messages, bounded, as a peer may be anything that found the port.
struct DownpourDecoder: Sendable {
  /// The longest body that is taken.
  var longest: Int
  private var bytes: [UInt8] = []

  init(longest: Int) {
    self.longest = longest
  }

  mutating func feed(_ more: UnsafeRawBufferPointer) {
    bytes.append(contentsOf: more)
  }

  /// The next whole message; nil if it has not all come yet.
  ///
  /// - Throws: `EPROTO` for what is no message, after which the stream is of no use.
  mutating func next() throws(Socket.Failure) -> DownpourMessage? {
    guard bytes.count >= DownpourMessage.headerCount else { return nil }
    let count = (0..<4).reduce(0) { $0 | Int(bytes[$1]) << (8 * $1) }
    guard count <= longest else { throw Socket.Failure(number: EPROTO) }
    let end = DownpourMessage.headerCount + count
    guard bytes.count >= end else { return nil }
    let message = DownpourMessage(kind: bytes[4], body: bytes[DownpourMessage.headerCount..<end])
    bytes.removeFirst(end)
    guard let message else { throw Socket.Failure(number: EPROTO) }
    return message
  }
}
