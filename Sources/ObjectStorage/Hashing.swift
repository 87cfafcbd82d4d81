import Crypto
import Domain
import Glibc
import Synchronization

/// SHA-256 over bytes that come in pieces.
package struct ContentHash: Sendable {
  private var hasher = SHA256()

  /// Of nothing yet.
  package init() {}

  /// Adds `bytes`.
  package mutating func update(_ bytes: [UInt8]) { bytes.withUnsafeBytes { hasher.update(bufferPointer: $0) } }

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
    var hash = ContentHash()
    var size: Int64 = 0
    while true {
      let chunk = try Disk.read(file, at: size, limit: 1 << 20, path: path)
      if chunk.isEmpty { return (hash.hex(), size) }
      hash.update(chunk)
      size += Int64(chunk.count)
    }
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
