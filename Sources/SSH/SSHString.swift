/// Reads the length-prefixed strings that SSH's formats are made of (RFC 4251 section 5).
struct SSHStringReader {
  private var rest: ArraySlice<UInt8>

  init(_ bytes: some Collection<UInt8>) {
    rest = ArraySlice(bytes)
  }

  /// The next byte, or nil at the end.
  mutating func byte() -> UInt8? { rest.popFirst() }

  /// The next `count` bytes, or nil when there are fewer.
  mutating func bytes(_ count: Int) -> ArraySlice<UInt8>? {
    guard count >= 0, rest.count >= count else { return nil }
    defer { rest = rest.dropFirst(count) }
    return rest.prefix(count)
  }

  /// The next 32-bit number, most significant byte first.
  mutating func uint32() -> UInt32? {
    bytes(4).map { $0.reduce(0) { $0 << 8 | UInt32($1) } }
  }

  /// The next string.
  mutating func string() -> ArraySlice<UInt8>? {
    guard let length = uint32() else { return nil }
    return bytes(Int(length))
  }

  /// The next string, as text.
  mutating func text() -> String? {
    string().map { String(decoding: $0, as: UTF8.self) }
  }
}
