/// Where objects are: named bytes that are written whole and read whole or in ranges.
///
/// Keys are paths: parts between `/`, none empty, `.` or `..`. Everything is safe to be called at once from
/// many tasks. Calls throw `ObjectStoreError` and nothing else, but for `get`, which passes on what its
/// receiver throws, and throws `CancellationError` between two pieces. No half object is ever visible.
public protocol ObjectStore: Sendable {
  /// Puts an object in place, whole or not at all, and durable when this returns.
  ///
  /// - Parameters:
  ///   - sha256: what the content has to be; nil to take it as it is.
  ///   - replacing: false refuses, with `.exists`, when there is an object already - also one that another
  ///     writer puts at the same moment.
  /// - Throws: `.checksumMismatch` when the content is not `sha256`; nothing was stored then.
  func put(
    _ key: String, from source: ObjectSource, sha256: String?, replacing: Bool
  ) async throws(ObjectStoreError) -> ObjectInfo

  /// Hands the content, or `range` of it, to `receive`, piece by piece and in order.
  ///
  /// Whether the content is what it should be is for the caller to check: it knows better than the store.
  func get(_ key: String, range: Range<Int64>?, _ receive: @Sendable ([UInt8]) async throws -> Void) async throws

  /// Length and checksum; nil where there is no such object.
  func head(_ key: String) async throws(ObjectStoreError) -> ObjectInfo?

  /// The objects whose keys start with `prefix` and come after `marker`, at most `limit`, by the UTF-8 bytes of their keys.
  func list(prefix: String, after marker: String?, limit: Int) async throws(ObjectStoreError) -> ObjectPage

  /// Removes an object; one that is not there is fine.
  func delete(_ key: String) async throws(ObjectStoreError)

  /// Begins an upload in parts; nothing is visible before it is completed.
  func beginUpload(_ key: String) async throws(ObjectStoreError) -> PartedUpload

  /// Uploads part `number`, counted from 1; uploading it again replaces it.
  func uploadPart(
    _ upload: PartedUpload, number: Int, from source: ObjectSource
  ) async throws(ObjectStoreError) -> UploadedPart

  /// Joins `parts` in order of number to one object, as `put` does.
  func completeUpload(
    _ upload: PartedUpload, parts: [UploadedPart], sha256: String?
  ) async throws(ObjectStoreError) -> ObjectInfo

  /// Drops all parts; an upload that is not there is fine.
  func abortUpload(_ upload: PartedUpload) async throws(ObjectStoreError)
}

/// Where the bytes of an object come from.
public enum ObjectSource: Hashable, Sendable {
  /// From memory.
  case bytes([UInt8])
  /// From a plain file, read to its end.
  case file(path: String)
}

/// What a store knows of an object.
public struct ObjectInfo: Hashable, Sendable {
  /// Its name.
  public var key: String
  /// Length in bytes.
  public var size: Int64
  /// SHA-256 of the content when it was put, 64 lower-case hexadecimal digits.
  public var sha256: String

  /// An object.
  public init(key: String, size: Int64, sha256: String) {
    self.key = key
    self.size = size
    self.sha256 = sha256
  }
}

/// A stretch of a listing.
public struct ObjectPage: Hashable, Sendable {
  /// One object.
  public struct Entry: Hashable, Sendable {
    /// Its name.
    public var key: String
    /// Length in bytes.
    public var size: Int64

    /// An object.
    public init(key: String, size: Int64) {
      self.key = key
      self.size = size
    }
  }

  /// By the UTF-8 bytes of their keys.
  public var entries: [Entry]
  /// The marker of the next page; nil when this was the last one.
  public var next: String?

  /// A page.
  public init(entries: [Entry], next: String?) {
    self.entries = entries
    self.next = next
  }
}

/// An upload in parts that was begun.
public struct PartedUpload: Hashable, Sendable, Codable {
  /// The object that it will be.
  public var key: String
  /// The store's name for it.
  public var id: String

  /// Upload `id` of `key`.
  public init(key: String, id: String) {
    self.key = key
    self.id = id
  }
}

/// A part that is in the store.
public struct UploadedPart: Hashable, Sendable, Codable {
  /// Counted from 1.
  public var number: Int
  /// Length in bytes.
  public var size: Int64
  /// What the store calls this content of it.
  public var tag: String

  /// Part `number`.
  public init(number: Int, size: Int64, tag: String) {
    self.number = number
    self.size = size
    self.tag = tag
  }
}

extension ObjectStore {
  /// Puts an object in place, replacing what was there.
  @discardableResult
  public func put(
    _ key: String, from source: ObjectSource, sha256: String? = nil
  ) async throws(ObjectStoreError) -> ObjectInfo {
    try await put(key, from: source, sha256: sha256, replacing: true)
  }

  /// The content of an object that is known to be small; `.badRequest` past `limit`, `.unavailable` when cancelled.
  public func bytes(_ key: String, limit: Int = 64 << 20) async throws(ObjectStoreError) -> [UInt8] {
    let collected = ByteCollector(limit: limit)
    do {
      try await get(key, range: nil) { try collected.add($0) }
    } catch let error as ObjectStoreError {
      throw error
    } catch is ByteCollector.Overflow {
      throw ObjectStoreError(.badRequest, key: key, reason: "it is larger than \(limit) bytes")
    } catch {
      throw ObjectStoreError(.unavailable, key: key, reason: "reading it was given up: \(error)")
    }
    return collected.bytes
  }
}
