import ObjectStorage
import Synchronization
import Wire

/// Reads stretches of objects: the one place where staging asks a store.
struct StoreReader: Sendable {
  var store: any ObjectStore
  var tries = 6

  /// The bytes of `range`, of the version that is called `tag` where one is told.
  ///
  /// Throws `StagingFailure.changed` where the object is another version, `.corrupt` where it is too short or twice not
  /// what the store says it is, and what the store throws.
  func read(_ key: String, _ range: Range<Int64>, tag: String?) async throws -> [UInt8] {
    do {
      return try await readOnce(key, range, tag: tag)
    } catch let error as ObjectStoreError where error.code == .checksumMismatch {
      do {
        return try await readOnce(key, range, tag: tag)
      } catch let error as ObjectStoreError where error.code == .checksumMismatch {
        throw StagingFailure.corrupt(key: key)
      }
    }
  }

  private func readOnce(_ key: String, _ range: Range<Int64>, tag: String?) async throws -> [UInt8] {
    try await retrying(tries: tries) {
      let gathered = Mutex<[UInt8]>([])
      gathered.withLock { $0.reserveCapacity(range.count) }
      do {
        try await store.get(key, range: range, ifTag: tag) { piece in gathered.withLock { $0 += piece } }
      } catch let error as ObjectStoreError where error.code == .badRequest {
        // There is no such range: what is there is judged below.
      } catch let error as ObjectStoreError where error.code == .changed {
        throw StagingFailure.changed(key: key)
      }
      let bytes = gathered.withLock { $0 }
      guard bytes.count == range.count else {
        if let found = try await store.head(key), found.size < range.upperBound {
          throw StagingFailure.corrupt(key: key)
        }
        // A store that ends too early did not say that it failed.
        throw ObjectStoreError(
          .unavailable, key: key, reason: "\(bytes.count) bytes came where \(range.count) were asked for")
      }
      return bytes
    }
  }
}
