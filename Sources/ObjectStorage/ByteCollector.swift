import Synchronization

/// Gathers pieces up to a limit.
final class ByteCollector: Sendable {
  /// There was more.
  struct Overflow: Error {}

  private let gathered = Mutex<[UInt8]>([])
  private let limit: Int

  init(limit: Int) { self.limit = limit }

  var bytes: [UInt8] { gathered.withLock { $0 } }

  func add(_ piece: [UInt8]) throws(Overflow) {
    let fits = gathered.withLock { bytes in
      guard bytes.count + piece.count <= limit else { return false }
      bytes += piece
      return true
    }
    if !fits { throw Overflow() }
  }
}
