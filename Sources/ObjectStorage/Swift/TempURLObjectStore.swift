public import Domain
public import Wire

/// A Swift container reached by the signatures that `SwiftObjectStore.delegate` made: for a node.
///
/// It cannot list, and it cannot join parts: Swift drops the `multipart-manifest` of a request that comes by temporary
/// URL and would store the manifest itself as the object. A single request carries 5 GiB at most.
public struct TempURLObjectStore: ObjectStore {
  /// What it was lent.
  public let access: SwiftTempURLAccess
  private let exchange: HTTPExchange

  /// The most that one request carries.
  public static let largestPut: Int64 = 5 << 30

  /// The container that `access` lends.
  public init(
    _ access: SwiftTempURLAccess, retry: StoreRetryPolicy = StoreRetryPolicy(), patience: HTTPPatience = HTTPPatience(),
    pacing: Pacing = .live
  ) {
    self.access = access
    exchange = HTTPExchange(
      transport: HTTPTransport(patience), dialect: TempURLDialect(access: access), policy: retry, pacing: pacing)
  }

  private func call(_ method: String, _ key: String) -> HTTPCall {
    HTTPCall(method: method, origin: access.origin, path: "\(access.containerPath)/\(access.prefix)\(key)")
  }

  /// One request; see `ObjectStore`.
  public func put(
    _ key: String, from source: ObjectSource, sha256: String?, replacing: Bool
  ) async throws(ObjectStoreError) -> ObjectInfo {
    try checkedKey(key, isWritten: true)
    let content = try await HTTPExchange.summary(of: source, sha256: sha256, key: key)
    if content.size > Self.largestPut {
      throw ObjectStoreError(
        .denied, key: key,
        reason: "it has \(content.size) bytes, and by temporary URL an object has 5 GiB at most: write it in more files"
      )
    }
    return try await exchange.write(call("PUT", key).carrying(source, content), key: key, replacing: replacing)
  }

  /// Reads, and goes on where a transfer was cut; see `ObjectStore`.
  public func get(
    _ key: String, range: Range<Int64>?, ifTag: String?, _ receive: @Sendable ([UInt8]) async throws -> Void
  ) async throws {
    try checkedKey(key)
    try await exchange.read(call("GET", key), key: key, range: range, ifTag: ifTag, receive)
  }

  /// See `ObjectStore`.
  public func head(_ key: String) async throws(ObjectStoreError) -> ObjectInfo? {
    try checkedKey(key)
    return try await exchange.head(call("HEAD", key), key: key)
  }

  /// See `ObjectStore`; parts of a large object stay.
  public func delete(_ key: String) async throws(ObjectStoreError) {
    try checkedKey(key)
    _ = try await exchange.perform(call("DELETE", key), key: key, accepting: [200, 204, 404])
  }

  /// Not possible: `.denied`.
  public func list(
    prefix: String, after marker: String?, limit: Int
  ) async throws(ObjectStoreError) -> ObjectPage {
    throw refusal(prefix, "list")
  }

  /// Not possible: `.denied`.
  public func beginUpload(_ key: String, sha256: String?) async throws(ObjectStoreError) -> PartedUpload {
    throw refusal(key, "write in parts")
  }

  /// Not possible: `.denied`.
  public func uploadPart(
    _ upload: PartedUpload, number: Int, from source: ObjectSource
  ) async throws(ObjectStoreError) -> UploadedPart {
    throw refusal(upload.key, "write in parts")
  }

  /// Not possible: `.denied`.
  public func completeUpload(
    _ upload: PartedUpload, parts: [UploadedPart], replacing: Bool
  ) async throws(ObjectStoreError) -> ObjectInfo {
    throw refusal(upload.key, "write in parts")
  }

  /// There is none, which is fine.
  public func abortUpload(_ upload: PartedUpload) async throws(ObjectStoreError) {}

  /// Not possible: `.denied`.
  public func delegate(
    read: [String], write: [String], until: Timestamp
  ) async throws(ObjectStoreError) -> StoreAccess {
    throw refusal("", "lend on what was lent")
  }

  private func refusal(_ key: String, _ what: String) -> ObjectStoreError {
    ObjectStoreError(.denied, key: key, reason: "temporary URLs cannot \(what)")
  }
}

/// Adds the signature that fits method and name.
private struct TempURLDialect: StoreDialect {
  let access: SwiftTempURLAccess

  func sign(_ call: HTTPCall) async throws(ObjectStoreError) -> HTTPCall {
    let name = call.path.utf8.dropFirst(access.containerPath.utf8.count + 1)
    let fitting = access.grants.first { $0.method == call.method && name.starts(with: $0.prefix.utf8) }
    guard let fitting else {
      throw ObjectStoreError(
        .denied, key: "", reason: "this node was given no right to \(call.method) \(String(name) ?? call.path)")
    }
    var call = call
    call.query += [
      ("temp_url_sig", fitting.signature), ("temp_url_expires", String(access.expires)),
      ("temp_url_prefix", fitting.prefix),
    ]
    return call
  }

  func mayBelieve(afterRefusal answer: HTTPAnswer, of signed: HTTPCall) async -> Bool { false }

  func explain(_ answer: HTTPAnswer) -> (word: String?, text: String) { SwiftWords.explain(answer) }

  func checksum(_ headers: [String: String], tag: String) -> Checksum? { SwiftWords.checksum(headers, tag: tag) }
}
