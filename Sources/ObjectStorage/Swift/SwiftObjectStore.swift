import FoundationEssentials

/// How a container of OpenStack Swift is reached.
public struct SwiftSettings: Hashable, Sendable {
  /// The container; it has to be there.
  public var container: String
  /// What stands before every key, empty or with a slash at its end.
  public var prefix: String
  /// The container for parts of large objects, made when it is missing.
  public var segmentsContainer: String
  /// Which of a Keystone catalog's endpoints; nil for the first.
  public var region: String?
  /// `public`, `internal` or `admin`.
  public var interface: String
  /// Instead of the address that comes with the token.
  public var storageURL: String?
  /// The secret of temporary URLs; nil reads it from the container, where one is made when there is none.
  public var tempURLKey: String?
  /// How often and how long an operation is tried.
  public var retry: StoreRetryPolicy
  /// How long a request may wait.
  public var patience: HTTPPatience
  /// Keys in one page of a listing; Swift gives 10,000 at most.
  public var pageSize: Int
  /// What is larger is put in parts; one request carries 5 GiB at most.
  public var singlePutLimit: Int64
  /// The least size of such parts.
  public var partSize: Int64
  /// Parts that one manifest names; Swift allows for 1,000.
  public var manifestSize: Int

  /// A container.
  public init(
    container: String, prefix: String = "", segmentsContainer: String? = nil, region: String? = nil,
    interface: String = "public", storageURL: String? = nil, tempURLKey: String? = nil,
    retry: StoreRetryPolicy = StoreRetryPolicy(), patience: HTTPPatience = HTTPPatience(), pageSize: Int = 10_000,
    singlePutLimit: Int64 = 1 << 30, partSize: Int64 = 256 << 20, manifestSize: Int = 1000
  ) {
    self.container = container
    self.prefix = prefix
    self.segmentsContainer = segmentsContainer ?? "\(container)_segments"
    self.region = region
    self.interface = interface
    self.storageURL = storageURL
    self.tempURLKey = tempURLKey
    self.retry = retry
    self.patience = patience
    self.pageSize = min(10_000, max(1, pageSize))
    self.singlePutLimit = singlePutLimit
    self.partSize = max(1, partSize)
    self.manifestSize = max(2, manifestSize)
  }
}

/// A container of OpenStack Swift, or of Ceph's gateway to its protocol.
///
/// Objects in parts are static large objects: manifests of up to 1,000 parts, and manifests of manifests beyond. Dynamic
/// large objects are read like any other; they are not written.
public struct SwiftObjectStore: ObjectStore {
  /// Where it is.
  public let settings: SwiftSettings
  let tokens: SwiftTokens
  let exchange: HTTPExchange

  /// The container of `settings`, as `authentication` says who asks; nothing is asked before the first call.
  public init(_ settings: SwiftSettings, authentication: SwiftAuthentication, pacing: Pacing = .live) {
    self.settings = settings
    let transport = HTTPTransport(settings.patience)
    tokens = SwiftTokens(
      SwiftLogin(
        authentication: authentication, region: settings.region, interface: settings.interface,
        storageURL: settings.storageURL, transport: transport, policy: settings.retry, pacing: pacing))
    exchange = HTTPExchange(
      transport: transport, dialect: SwiftDialect(tokens: tokens), policy: settings.retry, pacing: pacing,
      home: HTTPExchange.Home(path: "/\(settings.container)", name: "container \(settings.container)"))
  }

  func call(
    _ method: String, _ key: String, query: [(name: String, value: String)] = []
  ) -> HTTPCall {
    HTTPCall(method: method, origin: "", path: "/\(settings.container)/\(settings.prefix)\(key)", query: query)
  }

  /// One request, or parts where it is large; see `ObjectStore`.
  public func put(
    _ key: String, from source: ObjectSource, sha256: String?, replacing: Bool
  ) async throws(ObjectStoreError) -> ObjectInfo {
    try checkedKey(key, isWritten: true)
    let content = try await HTTPExchange.summary(of: source, sha256: sha256, key: key)
    if case .file(let path) = source, content.size > settings.singlePutLimit {
      let size = Self.partSize(for: content.size, atLeast: settings.partSize, most: 100_000)
      return try await putInParts(key, path: path, content: content, partSize: size, replacing: replacing)
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

  /// Removes an object and, of a static large object, its parts; see `ObjectStore`.
  public func delete(_ key: String) async throws(ObjectStoreError) {
    try checkedKey(key)
    let found = try await exchange.perform(call("HEAD", key), key: key, accepting: [200, 204, 404])
    if found.status == 404 { return }
    guard found.header("x-static-large-object")?.lowercased() == "true" else {
      _ = try await exchange.perform(call("DELETE", key), key: key, accepting: [200, 204, 404])
      return
    }
    var call = call("DELETE", key, query: [("multipart-manifest", "delete")])
    call.set("accept", "application/json")
    _ = try await exchange.perform(call, key: key, accepting: [200, 404]) { answer throws(TransportFailure) in
      if answer.status == 404 { return }
      // Failures of single parts are told in the body of a 200.
      let report: DeleteReport
      do { report = try JSONDecoder().decode(DeleteReport.self, from: Data(answer.body)) } catch {
        throw TransportFailure(reason: "the report of what was deleted cannot be read")
      }
      let worst = report.errors.filter { $0.count < 2 || !$0[1].hasPrefix("404") }
      if let worst = worst.first { throw TransportFailure(reason: worst.joined(separator: ": ")) }
    }
  }

  /// Makes the container; one that is there is fine.
  public func createContainer() async throws(ObjectStoreError) { try await create(settings.container) }

  func create(_ container: String) async throws(ObjectStoreError) {
    let call = HTTPCall(method: "PUT", origin: "", path: "/\(container)")
    _ = try await exchange.perform(call, key: "")
  }
}

extension HTTPCall {
  /// The request with a body that Swift checks where its MD5 is known, and its SHA-256 beside it: under two names, since
  /// temporary URLs tell only one of them.
  func carrying(_ source: ObjectSource, _ content: ContentSummary) -> HTTPCall {
    var call = self
    call.body = source
    call.content = content
    if let md5 = content.md5 { call.set("etag", md5) }
    call.set("content-type", "application/octet-stream")
    call.setSHA256(content.sha256)
    return call
  }

  mutating func setSHA256(_ sha256: String) {
    set("x-object-meta-sha256", sha256)
    set("x-object-meta-public-sha256", sha256)
  }
}

private struct DeleteReport: Decodable {
  var errors: [[String]]

  enum CodingKeys: String, CodingKey { case errors = "Errors" }
}
