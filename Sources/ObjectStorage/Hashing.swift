import Crypto
package import Domain
import Glibc
import Synchronization

/// SHA-256 over bytes that come in pieces.
package struct ContentHash: Sendable {
  private var hasher = SHA256()

  /// Of nothing yet.
  package init() {}

  /// Adds `bytes`.
  package mutating func update(_ bytes: [UInt8]) { bytes.withUnsafeBytes { hasher.update(bufferPointer: $0) } }

  /// Adds `bytes`.
  package mutating func update(_ bytes: UnsafeRawBufferPointer) { hasher.update(bufferPointer: bytes) }

  mutating func update(_ bytes: ArraySlice<UInt8>) { bytes.withUnsafeBytes { hasher.update(bufferPointer: $0) } }

  /// 64 lower-case hexadecimal digits.
  package func hex() -> String { hasher.finalize().hexadecimal }

  /// The hash of `bytes`.
  package static func of(_ bytes: [UInt8]) -> String {
    var hash = ContentHash()
    hash.update(bytes)
    return hash.hex()
  }

  /// The hash of a file's content, and its length.
  package static func of(file path: String) throws(SystemError) -> (sha256: String, size: Int64) {
    let file = try Disk.open(path, O_RDONLY)
    return try of(file, 0..<Int64.max, path: path)
  }

  /// The hash of `range` of an open file, or of what of it there is, and how long that is.
  package static func of(
    _ file: borrowing Descriptor, _ range: Range<Int64>, path: String
  ) throws(SystemError) -> (sha256: String, size: Int64) {
    var hash = ContentHash()
    let size = try Disk.read(file, range, path: path) { hash.update($0) }
    return (hash.hex(), size)
  }
}

/// MD5 over bytes that come in pieces: for stores that know nothing better of what they hold.
struct MD5Hash: Sendable {
  private var hasher = Insecure.MD5()

  mutating func update(_ bytes: [UInt8]) { bytes.withUnsafeBytes { hasher.update(bufferPointer: $0) } }

  /// 32 lower-case hexadecimal digits.
  func hex() -> String { hasher.finalize().hexadecimal }

  /// The hash of `bytes`.
  static func of(_ bytes: [UInt8]) -> String {
    var hash = MD5Hash()
    hash.update(bytes)
    return hash.hex()
  }
}

/// SHA-256 over that of each stretch, over bytes that come in pieces: see `Checksum.composite`.
struct CompositeHash: Sendable {
  let length: Int64
  private var stretches = ContentHash()
  private var stretch = ContentHash()
  private var filled: Int64 = 0

  init(length: Int64) { self.length = length }

  mutating func update(_ bytes: [UInt8]) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let part = rest.prefix(Int(min(length - filled, Int64(rest.count))))
      stretch.update(part)
      filled += Int64(part.count)
      rest = rest.dropFirst(part.count)
      if filled == length {
        stretches.update(Array(stretch.hex().utf8))
        (stretch, filled) = (ContentHash(), 0)
      }
    }
  }

  /// 64 lower-case hexadecimal digits.
  func hex() -> String {
    var all = stretches
    if filled > 0 { all.update(Array(stretch.hex().utf8)) }
    return all.hex()
  }
}

/// A hash of the kind that a checksum is, over bytes that come in pieces.
package struct ChecksumHash: Sendable {
  private enum Kind: Sendable {
    case sha256(ContentHash)
    case composite(CompositeHash)
    case md5(MD5Hash)
  }

  private var kind: Kind

  /// Of nothing yet; nil where `checksum` says nothing about bytes.
  package init?(like checksum: Checksum) {
    switch checksum {
    case .sha256: kind = .sha256(ContentHash())
    case .composite(_, let length): kind = .composite(CompositeHash(length: length))
    case .md5: kind = .md5(MD5Hash())
    case .opaque: return nil
    }
  }

  /// Adds `bytes`.
  package mutating func update(_ bytes: [UInt8]) {
    switch kind {
    case .sha256(var hash):
      hash.update(bytes)
      kind = .sha256(hash)
    case .composite(var hash):
      hash.update(bytes)
      kind = .composite(hash)
    case .md5(var hash):
      hash.update(bytes)
      kind = .md5(hash)
    }
  }

  /// Of all that was added.
  package var checksum: Checksum {
    switch kind {
    case .sha256(let hash): .sha256(hash.hex())
    case .composite(let hash): .composite(hash.hex(), length: hash.length)
    case .md5(let hash): .md5(hash.hex())
    }
  }
}

extension Checksum {
  /// Of what is cut into chunks of `length` bytes, the last one perhaps shorter, that have these SHA-256.
  package static func ofChunks(_ sha256: [String], length: Int64) -> Checksum {
    if sha256.count <= 1 { return .sha256(sha256.first ?? ContentHash().hex()) }
    var all = ContentHash()
    for digits in sha256 { all.update(Array(digits.utf8)) }
    return .composite(all.hex(), length: length)
  }

  /// Whether it can be compared with bytes, and not only with what a store says.
  package var isOfBytes: Bool { ChecksumHash(like: self) != nil }

  /// Whether `bytes` are what it says; nil where it says nothing about bytes.
  package func matches(_ bytes: [UInt8]) -> Bool? {
    guard var hash = ChecksumHash(like: self) else { return nil }
    hash.update(bytes)
    return hash.checksum == self
  }

  /// Whether a file has `size` bytes and this content; where the checksum says nothing about bytes, `size` decides.
  package func matches(file path: String, size: Int64) throws(SystemError) -> Bool {
    guard var hash = ChecksumHash(like: self) else { return Disk.status(path)?.size == size }
    let file = try Disk.open(path, O_RDONLY)
    var offset: Int64 = 0
    while true {
      let chunk = try Disk.read(file, at: offset, limit: 1 << 20, path: path)
      if chunk.isEmpty { return offset == size && hash.checksum == self }
      hash.update(chunk)
      offset += Int64(chunk.count)
    }
  }
}

/// Hash and length of bytes that a store hands over in pieces.
package final class ContentMeasure: Sendable {
  private struct State {
    var hash = ContentHash()
    var size: Int64 = 0
  }

  private let state = Mutex(State())

  /// Of nothing yet.
  package init() {}

  /// Adds a piece; pieces come in order.
  package func add(_ piece: [UInt8]) {
    state.withLock {
      $0.hash.update(piece)
      $0.size += Int64(piece.count)
    }
  }

  /// Of all pieces so far.
  package var result: (sha256: String, size: Int64) { state.withLock { ($0.hash.hex(), $0.size) } }
}
