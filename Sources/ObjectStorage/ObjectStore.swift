public import Domain
public import Wire

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
  /// - Throws: `.checksumMismatch` when the content is not `sha256`; nothing was stored then. Of a source that is
  ///   `hashed` another content may be stored, where the file changed since.
  func put(
    _ key: String, from source: ObjectSource, sha256: String?, replacing: Bool
  ) async throws(ObjectStoreError) -> ObjectInfo

  /// Hands the content, or `range` of it, to `receive`, piece by piece and in order.
  ///
  /// The length is always checked. Where a whole object is read and the store knows a hash of it, the content is too:
  /// after the last piece, so that the receiver must be ready to drop what it got. A transfer that is cut is taken up
  /// again where it stopped, as long as the object is the same version. Whoever knows the SHA-256 checks it as well.
  /// - Parameters:
  ///   - range: cut at the end of the object; one that begins past it is a `.badRequest`.
  ///   - ifTag: the version to read, as `head` or a listing called it; nil for whatever is there.
  /// - Throws: `.changed` when the object is another version than `ifTag`, or became one meanwhile;
  ///   `.checksumMismatch` when the bytes are not what the store says they are.
  func get(
    _ key: String, range: Range<Int64>?, ifTag: String?, _ receive: @Sendable ([UInt8]) async throws -> Void
  ) async throws

  /// Reads an object that should have `size` bytes, and one byte more where there is one, and says what they are.
  ///
  /// For who looks at what was stored: nothing is compared here. Throws as `get` does.
  func measure(_ key: String, expecting size: Int64) async throws -> ObjectMeasure

  /// Length, version and checksum; nil where there is no such object.
  func head(_ key: String) async throws(ObjectStoreError) -> ObjectInfo?

  /// The objects whose keys start with `prefix` and come after `marker`, at most `limit`, by the UTF-8 bytes of their keys.
  ///
  /// A page may be shorter than `limit` although more follow: only `next` tells.
  func list(prefix: String, after marker: String?, limit: Int) async throws(ObjectStoreError) -> ObjectPage

  /// Removes an object; one that is not there is fine.
  func delete(_ key: String) async throws(ObjectStoreError)

  /// Begins an upload in parts; nothing is visible before it is completed.
  ///
  /// - Parameter sha256: what the whole content has to be; nil where that is not known yet. Only a store that reads the
  ///   parts checks it when they are joined (`.checksumMismatch`); the others keep it beside the object, and compare
  ///   when all of it is read.
  func beginUpload(_ key: String, sha256: String?) async throws(ObjectStoreError) -> PartedUpload

  /// Uploads part `number`, counted from 1; uploading it again replaces it.
  func uploadPart(
    _ upload: PartedUpload, number: Int, from source: ObjectSource
  ) async throws(ObjectStoreError) -> UploadedPart

  /// Joins `parts` in order of number to one object, whole or not at all.
  ///
  /// - Parameter replacing: as `put` has it.
  func completeUpload(
    _ upload: PartedUpload, parts: [UploadedPart], replacing: Bool
  ) async throws(ObjectStoreError) -> ObjectInfo

  /// Drops all parts; an upload that is not there is fine.
  func abortUpload(_ upload: PartedUpload) async throws(ObjectStoreError)

  /// What to hand to a node so that it reaches this store, without a credential that outlives `until`.
  ///
  /// - Parameters:
  ///   - read: prefixes of keys that the node may read.
  ///   - write: prefixes of keys that it may read, write and delete.
  /// - Throws: `.denied` where the store cannot lend what it was lent itself.
  func delegate(
    read: [String], write: [String], until: Timestamp
  ) async throws(ObjectStoreError) -> StoreAccess
}

extension ObjectStore {
  /// Reads by `get`.
  public func measure(_ key: String, expecting size: Int64) async throws -> ObjectMeasure {
    let measure = ContentMeasure()
    // Asked for as a range it is not hashed by the store's client as well; there is no range of an empty object.
    try await get(key, range: size > 0 ? 0..<size + 1 : nil, ifTag: nil) { measure.add($0) }
    return ObjectMeasure(sha256: measure.result.sha256, size: measure.result.size)
  }
}

/// What was read of an object.
public struct ObjectMeasure: Hashable, Sendable {
  /// 64 lower-case hexadecimal digits.
  public var sha256: String
  /// Bytes.
  public var size: Int64

  /// What was read.
  public init(sha256: String, size: Int64) {
    self.sha256 = sha256
    self.size = size
  }
}

/// Where the bytes of an object come from.
public enum ObjectSource: Hashable, Sendable {
  /// From memory.
  case bytes([UInt8])
  /// From a plain file, read to its end.
  case file(path: String)
  /// From a stretch of a plain file, which must not end before.
  case slice(path: String, Range<Int64>)
  /// From such a stretch whose hash was just taken, and is believed: for who reads back what was stored.
  case hashed(path: String, Range<Int64>, sha256: String)
}

/// What a store knows of an object.
public struct ObjectInfo: Hashable, Sendable {
  /// Its name.
  public var key: String
  /// Length in bytes.
  public var size: Int64
  /// The version of the object, another one when it was written again: to be compared, not read.
  public var tag: String
  /// The best that is known of the content without reading it; nil where that is nothing.
  ///
  /// A listing knows less than `head`: the SHA-256 that Baton keeps beside an object is only told there.
  public var checksum: Checksum?

  /// An object.
  public init(key: String, size: Int64, tag: String, checksum: Checksum?) {
    self.key = key
    self.size = size
    self.tag = tag
    self.checksum = checksum
  }

  /// The SHA-256 of the content, where it is known.
  public var sha256: String? {
    guard case .sha256(let digits) = checksum else { return nil }
    return digits
  }
}

/// A stretch of a listing.
public struct ObjectPage: Hashable, Sendable {
  /// By the UTF-8 bytes of their keys.
  public var entries: [ObjectInfo]
  /// The marker of the next page; nil when this was the last one.
  public var next: String?

  /// A page.
  public init(entries: [ObjectInfo], next: String?) {
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
  /// What the whole content has to be, where that was known.
  public var sha256: String?

  /// Upload `id` of `key`.
  public init(key: String, id: String, sha256: String? = nil) {
    self.key = key
    self.id = id
    self.sha256 = sha256
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

  /// Hands the content of whatever version is there, or `range` of it, to `receive`.
  public func get(
    _ key: String, range: Range<Int64>? = nil, _ receive: @Sendable ([UInt8]) async throws -> Void
  ) async throws {
    try await get(key, range: range, ifTag: nil, receive)
  }

  /// Begins an upload in parts of a content whose hash is not known yet.
  public func beginUpload(_ key: String) async throws(ObjectStoreError) -> PartedUpload {
    try await beginUpload(key, sha256: nil)
  }

  /// Joins `parts` to one object, replacing what was there.
  @discardableResult
  public func completeUpload(
    _ upload: PartedUpload, parts: [UploadedPart]
  ) async throws(ObjectStoreError) -> ObjectInfo {
    try await completeUpload(upload, parts: parts, replacing: true)
  }

  /// The content of an object that is known to be small; `.badRequest` past `limit`, `.unavailable` when cancelled.
  public func bytes(_ key: String, limit: Int = 64 << 20) async throws(ObjectStoreError) -> [UInt8] {
    let collected = ByteCollector(limit: limit)
    do {
      try await get(key) { try collected.add($0) }
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
