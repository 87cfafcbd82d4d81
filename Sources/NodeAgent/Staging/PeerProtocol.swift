import Crypto
import ObjectStorage

/// How nodes ask each other for pieces: fixed frames over TCP, each proved with the exchange's key.
///
/// The server begins with a greeting and its nonce. A request names a plan and a piece, with a nonce of its own and a
/// number that counts up; an answer repeats all of it under its proof. So nobody without the key gets a byte or can put
/// one in, and nothing that was recorded is good a second time. What is sent is not hidden: data sets travel as they do
/// to and from the store of a lab.
enum PeerProtocol {
  static let greeting: [UInt8] = Array("BATONX1\n".utf8)
  static let nonceSize = 32
  static let proofSize = 32
  static let requestSize = 8 + 32 + 4 + 4 + nonceSize + proofSize
  static let answerHeadSize = 8
  /// No answer is longer: a piece has this many bytes at most.
  static let bodyLimit = TransferPlan.pieceSize

  /// What a server can say.
  enum Status: UInt32 {
    /// The piece follows.
    case piece = 1
    /// Not yet: ask again.
    case notYet = 2
    /// The piece follows; who sends it had it from somebody else.
    case secondHand = 3
  }

  /// What is asked for.
  struct Request: Hashable, Sendable {
    /// Counts up in a connection.
    var number: UInt64
    /// The plan, as 32 bytes.
    var plan: [UInt8]
    var piece: UInt32
    /// How long the server may wait for the piece.
    var waitMilliseconds: UInt32
    var nonce: [UInt8]

    private var fields: [UInt8] { bigEndian(number) + plan + bigEndian(piece) + bigEndian(waitMilliseconds) + nonce }

    /// As it is sent.
    func encoded(_ key: ExchangeKey, serverNonce: [UInt8]) -> [UInt8] {
      fields + key.proof("request", [serverNonce, fields])
    }

    /// Reads a request; nil where its proof is wrong.
    init?(_ bytes: [UInt8], _ key: ExchangeKey, serverNonce: [UInt8]) {
      guard bytes.count == requestSize else { return nil }
      let fields = Array(bytes.dropLast(proofSize))
      guard key.isRight(bytes.suffix(proofSize), "request", [serverNonce, fields]) else { return nil }
      number = integer(fields[0..<8])
      plan = Array(fields[8..<40])
      piece = UInt32(truncatingIfNeeded: integer(fields[40..<44]))
      waitMilliseconds = UInt32(truncatingIfNeeded: integer(fields[44..<48]))
      nonce = Array(fields[48...])
    }

    init(number: UInt64, plan: [UInt8], piece: UInt32, waitMilliseconds: UInt32, nonce: [UInt8]) {
      self.number = number
      self.plan = plan
      self.piece = piece
      self.waitMilliseconds = waitMilliseconds
      self.nonce = nonce
    }

    /// What an answer to this request has to be proved over.
    fileprivate func context(_ serverNonce: [UInt8]) -> [[UInt8]] { [serverNonce, fields] }
  }

  /// An answer as it is sent.
  static func answer(
    _ status: Status, _ body: [UInt8], to request: Request, _ key: ExchangeKey, serverNonce: [UInt8]
  ) -> [UInt8] {
    let head = bigEndian(status.rawValue) + bigEndian(UInt32(body.count))
    return head + body + key.proof("answer", request.context(serverNonce) + [head, body])
  }

  /// The length of the body that a head announces; nil where no answer has this head.
  static func bodyLength(_ head: [UInt8]) -> Int? {
    guard head.count == answerHeadSize,
      let status = Status(rawValue: UInt32(truncatingIfNeeded: integer(head[0..<4])))
    else { return nil }
    let length = Int(integer(head[4..<8]))
    return length <= (status == .notYet ? 0 : bodyLimit) ? length : nil
  }

  /// What an answer says; nil where its proof is wrong.
  static func status(
    head: [UInt8], body: [UInt8], proof: [UInt8], of request: Request, _ key: ExchangeKey, serverNonce: [UInt8]
  ) -> Status? {
    guard key.isRight(proof[...], "answer", request.context(serverNonce) + [head, body]) else { return nil }
    return Status(rawValue: UInt32(truncatingIfNeeded: integer(head[0..<4])))
  }

  /// 32 bytes of a hash that is written as 64 digits; nil for anything else.
  static func bytes(hex: String) -> [UInt8]? {
    let digits = Array(hex.utf8)
    guard digits.count == 64 else { return nil }
    var bytes: [UInt8] = []
    for index in stride(from: 0, to: 64, by: 2) {
      guard let byte = UInt8(String(decoding: digits[index..<index + 2], as: UTF8.self), radix: 16) else { return nil }
      bytes.append(byte)
    }
    return bytes
  }

  fileprivate static func bigEndian(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value.bigEndian) { Array($0) }
  }

  fileprivate static func integer(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
}

/// The key of an exchange.
struct ExchangeKey: Sendable {
  private let key: SymmetricKey

  /// The key of 64 hexadecimal digits; nil for anything else.
  init?(hex: String) {
    guard let bytes = PeerProtocol.bytes(hex: hex) else { return nil }
    key = SymmetricKey(data: bytes)
  }

  /// HMAC-SHA256 over what is said, and by whom: each part with its length, so that none runs into the next.
  func proof(_ speaker: String, _ parts: [[UInt8]]) -> [UInt8] {
    var code = HMAC<SHA256>(key: key)
    for part in [Array("baton exchange \(speaker)".utf8)] + parts {
      withUnsafeBytes(of: UInt64(part.count).bigEndian) { code.update(data: $0) }
      code.update(data: part)
    }
    return Array(code.finalize())
  }

  /// Compares in a time that does not depend on where the two differ.
  func isRight(_ proof: ArraySlice<UInt8>, _ speaker: String, _ parts: [[UInt8]]) -> Bool {
    let right = self.proof(speaker, parts)
    guard right.count == proof.count else { return false }
    return zip(right, proof).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
  }
}
