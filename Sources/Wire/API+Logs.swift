import Foundation

/// What `GET /jobs/{job}/logs/stream` sends as server-sent events named `log`.
///
/// The id of each event is the place behind it: a reader that comes back with it (`Last-Event-ID`, or `?after=`) goes on
/// there, and gets no byte twice.
public struct LogPiece: Hashable, Sendable {
  /// A line that Baton writes between attempts; it is no part of the log.
  public var heading: String?
  /// What the rank wrote.
  public var bytes: [UInt8]
  /// Nothing comes after this.
  public var isEnd: Bool

  /// A piece.
  public init(heading: String? = nil, bytes: [UInt8] = [], isEnd: Bool = false) {
    self.heading = heading
    self.bytes = bytes
    self.isEnd = isEnd
  }
}

extension LogPiece: Codable {
  private enum CodingKeys: String, CodingKey { case heading, bytes, isEnd }

  /// Reads a piece; `bytes` is in base64.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    heading = try container.decodeIfPresent(String.self, forKey: .heading)
    bytes = Array(try container.decodeIfPresent(Data.self, forKey: .bytes) ?? Data())
    isEnd = try container.decodeIfPresent(Bool.self, forKey: .isEnd) ?? false
  }

  /// Writes a piece; what is empty or false is left out.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encodeIfPresent(heading, forKey: .heading)
    if !bytes.isEmpty { try container.encode(Data(bytes), forKey: .bytes) }
    if isEnd { try container.encode(true, forKey: .isEnd) }
  }
}

/// How far a log was read: so many bytes of an attempt's.
public struct LogPlace: Hashable, Sendable, CustomStringConvertible {
  /// The number of the attempt.
  public var attempt: Int
  /// Bytes of its log that were read.
  public var offset: Int64

  /// A place.
  public init(attempt: Int, offset: Int64) {
    self.attempt = attempt
    self.offset = offset
  }

  /// Reads what `description` wrote; nil for anything else.
  public init?(_ text: String) {
    let parts = text.split(separator: "-", omittingEmptySubsequences: false).map { Int64($0) }
    guard parts.count == 2, let attempt = parts[0], let offset = parts[1], (1...1_000_000).contains(attempt),
      offset >= 0
    else { return nil }
    self.init(attempt: Int(attempt), offset: offset)
  }

  /// As in `2-1500`.
  public var description: String { "\(attempt)-\(offset)" }
}
