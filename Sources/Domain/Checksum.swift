/// What is known of an object's content without reading it.
///
/// As text, and in JSON: 64 hexadecimal digits for SHA-256, `sha256-67108864:` and 64 digits for one of stretches of 64 MiB,
/// `md5:` and 32 digits, `etag:` and whatever the store says.
public enum Checksum: Hashable, Sendable {
  /// SHA-256, 64 lower-case hexadecimal digits: what Baton itself writes.
  case sha256(String)
  /// SHA-256 over the SHA-256 of each stretch of `length` bytes, these in hexadecimal digits one after the other: what
  /// is long can then be hashed by many at once.
  case composite(String, length: Int64)
  /// MD5, 32 lower-case hexadecimal digits: tells damage, not malice.
  case md5(String)
  /// What the store calls this content: it differs when the content does, and says nothing about the bytes.
  case opaque(String)

  /// Reads `text`; nil where a hash has the wrong length or digits, or where it is none of the four.
  public init?(_ text: String) {
    if text.hasPrefix("md5:") {
      let digits = String(text.dropFirst(4))
      guard Self.isHex(digits, length: 32) else { return nil }
      self = .md5(digits)
    } else if text.hasPrefix("sha256-") {
      let parts = text.dropFirst(7).split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2, let length = Int64(parts[0]), length > 0, "\(length)" == parts[0],
        Self.isHex(String(parts[1]), length: 64)
      else { return nil }
      self = .composite(String(parts[1]), length: length)
    } else if text.hasPrefix("etag:") {
      guard text.utf8.count > 5 else { return nil }
      self = .opaque(String(text.dropFirst(5)))
    } else {
      guard Self.isHex(text, length: 64) else { return nil }
      self = .sha256(text)
    }
  }

  /// `text` where it is `length` lower-case hexadecimal digits.
  public static func isHex(_ text: String, length: Int) -> Bool {
    text.utf8.count == length && text.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
  }
}

extension Checksum: CustomStringConvertible {
  /// As `init(_:)` reads it.
  public var description: String {
    switch self {
    case .sha256(let digits): digits
    case .composite(let digits, let length): "sha256-\(length):\(digits)"
    case .md5(let digits): "md5:\(digits)"
    case .opaque(let tag): "etag:\(tag)"
    }
  }
}

extension Checksum: Codable {
  /// Reads the text.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    guard let checksum = Checksum(try container.decode(String.self)) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "a checksum that is none")
    }
    self = checksum
  }

  /// Writes the text.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}
