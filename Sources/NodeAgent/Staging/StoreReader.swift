import ObjectStorage
import Synchronization
import Wire

/// Reads stretches of objects: the one place where staging asks a store.
struct StoreReader: Sendable {
  var store: any ObjectStore
  var tries = 6
  /// A store works less for a small object that it is asked for as a whole than for a range of it; of a larger one it
  /// may hash the whole.
  private static let askedForWhole = 256 << 10

  /// The bytes of `range`, of the version that is called `tag` where one is told; `isWhole` where that is all of it.
  ///
  /// Throws `StagingFailure.changed` where the object is another version, `.corrupt` where it is too short or twice not
  /// what the store says it is, and what the store throws.
  func read(_ key: String, _ range: Range<Int64>, tag: String?, isWhole: Bool = false) async throws -> [UInt8] {
    let asked = isWhole && range.count <= Self.askedForWhole ? nil : range
    do {
      return try await readOnce(key, asked, tag: tag, count: range.count)
    } catch let error as ObjectStoreError where error.code == .checksumMismatch {
      do {
        return try await readOnce(key, asked, tag: tag, count: range.count)
      } catch let error as ObjectStoreError where error.code == .checksumMismatch {
        throw StagingFailure.corrupt(key: key)
      }
    }
  }

  /// Hands over the bytes of `range` as they come, in order and each once, whatever was cut on the way.
  ///
  /// Throws as `read` does, and what `receive` throws.
  func stream(
    _ key: String, _ range: Range<Int64>, tag: String?, _ receive: @Sendable ([UInt8]) async throws -> Void
  ) async throws {
    let position = Mutex(range.lowerBound)
    try await retrying(tries: tries) {
      let start = position.withLock { $0 }
      do {
        try await store.get(key, range: start..<range.upperBound, ifTag: tag) { bytes in
          try await receive(bytes)
          position.withLock { $0 += Int64(bytes.count) }
        }
      } catch let error as ObjectStoreError {
        try Self.judge(error, key)
      }
      try await check(key, range, came: position.withLock { $0 } - range.lowerBound)
    }
  }

  /// Throws what follows from a store's refusal; returns where what is there is to be judged.
  private static func judge(_ error: ObjectStoreError, _ key: String) throws {
    switch error.code {
    // There is no such range.
    case .badRequest: return
    case .changed: throw StagingFailure.changed(key: key)
    default: throw error
    }
  }

  /// Throws unless all of `range` came.
  private func check(_ key: String, _ range: Range<Int64>, came: Int64) async throws {
    guard came != Int64(range.count) else { return }
    if let found = try await store.head(key), found.size < range.upperBound {
      throw StagingFailure.corrupt(key: key)
    }
    // A store that ends too early did not say that it failed.
    throw ObjectStoreError(
      .unavailable, key: key, reason: "\(came) bytes came where \(range.count) were asked for")
  }

  private func readOnce(
    _ key: String, _ range: Range<Int64>?, tag: String?, count: Int
  ) async throws -> [UInt8] {
    try await retrying(tries: tries) {
      let gathered = Mutex<[UInt8]>([])
      gathered.withLock { $0.reserveCapacity(count) }
      do {
        try await store.get(key, range: range, ifTag: tag) { bytes in
          try gathered.withLock { gathered in
            guard gathered.count + bytes.count <= count else { throw StagingFailure.corrupt(key: key) }
            gathered += bytes
          }
        }
      } catch let error as ObjectStoreError {
        try Self.judge(error, key)
      }
      let bytes = gathered.withLock { $0 }
      try await check(key, range ?? 0..<Int64(count), came: Int64(bytes.count))
      return bytes
    }
  }
}
