public import Domain
import Glibc
public import Wire

/// How an S3 bucket is reached.
public struct S3Settings: Hashable, Sendable {
  /// Scheme, host and port of the service, without the bucket: `https://s3.eu-central-1.amazonaws.com`.
  public var endpoint: String
  /// As `us-east-1`; what the service does not care about has to be signed all the same.
  public var region: String
  /// The bucket.
  public var bucket: String
  /// What stands before every key, empty or with a slash at its end.
  public var prefix: String
  /// Whether the bucket is part of the host's name (AWS); else it is the first part of the path (most others).
  public var isVirtualHosted: Bool
  /// How often and how long an operation is tried.
  public var retry: StoreRetryPolicy
  /// How long a request may wait.
  public var patience: HTTPPatience
  /// Keys in one page of a listing; the service gives 1,000 at most.
  public var pageSize: Int
  /// What is larger is put in parts; one request carries 5 GiB at most.
  public var singlePutLimit: Int64
  /// The least size of such parts; 5 MiB at least, and more where there would be more than 10,000.
  public var partSize: Int64

  /// A bucket.
  public init(
    endpoint: String, region: String = "us-east-1", bucket: String, prefix: String = "",
    isVirtualHosted: Bool = false, retry: StoreRetryPolicy = StoreRetryPolicy(),
    patience: HTTPPatience = HTTPPatience(),
    pageSize: Int = 1000, singlePutLimit: Int64 = 1 << 30, partSize: Int64 = 256 << 20
  ) {
    self.endpoint = endpoint.hasSuffix("/") ? String(endpoint.dropLast()) : endpoint
    self.region = region
    self.bucket = bucket
    self.prefix = prefix
    self.isVirtualHosted = isVirtualHosted
    self.retry = retry
    self.patience = patience
    self.pageSize = min(1000, max(1, pageSize))
    self.singlePutLimit = singlePutLimit
    self.partSize = max(5 << 20, partSize)
  }
}

/// A bucket of Amazon S3, or of anything that speaks its protocol, with Signature Version 4.
///
/// `replacing: false` needs a service that honours `If-None-Match: *` (AWS since 2024, Ceph, MinIO, OpenStack Swift).
public struct S3ObjectStore: ObjectStore {
  /// Where it is.
  public let settings: S3Settings
  let dialect: S3Dialect
  let exchange: HTTPExchange

  /// The bucket of `settings`, signing with a secret.
  ///
  /// - Parameter clock: seconds since 1970.
  public init(
    _ settings: S3Settings, accessKey: String, secretKey: String, sessionToken: String? = nil,
    pacing: Pacing = .live, clock: @escaping @Sendable () -> Int64 = { WallClock.seconds }
  ) {
    self.init(
      settings, accessKey: accessKey, sessionToken: sessionToken, key: .secret(secretKey), pacing: pacing,
      clock: clock)
  }

  /// The bucket that `access` lends, signing with the keys of its days.
  public init(
    _ access: S3Access, retry: StoreRetryPolicy = StoreRetryPolicy(), patience: HTTPPatience = HTTPPatience(),
    pacing: Pacing = .live, clock: @escaping @Sendable () -> Int64 = { WallClock.seconds }
  ) {
    let keys = access.days.compactMap { day in S3DayKeys.bytes(day.key).map { (day.day, $0) } }
    self.init(
      S3Settings(
        endpoint: access.endpoint, region: access.region, bucket: access.bucket, prefix: access.prefix,
        isVirtualHosted: access.isVirtualHosted, retry: retry, patience: patience),
      accessKey: access.accessKey, sessionToken: access.sessionToken,
      key: .days(Dictionary(keys) { first, _ in first }), pacing: pacing, clock: clock)
  }

  private init(
    _ settings: S3Settings, accessKey: String, sessionToken: String?, key: S3Key, pacing: Pacing,
    clock: @escaping @Sendable () -> Int64
  ) {
    self.settings = settings
    dialect = S3Dialect(
      endpoint: settings.endpoint, region: settings.region, bucket: settings.bucket,
      isVirtualHosted: settings.isVirtualHosted, accessKey: accessKey, sessionToken: sessionToken, key: key,
      clock: clock)
    exchange = HTTPExchange(
      transport: HTTPTransport(settings.patience), dialect: dialect, policy: settings.retry, pacing: pacing,
      home: HTTPExchange.Home(path: settings.isVirtualHosted ? "/" : "", name: "bucket \(settings.bucket)"))
  }

  func call(_ method: String, _ key: String, query: [(name: String, value: String)] = []) -> HTTPCall {
    HTTPCall(method: method, origin: "", path: "/\(settings.prefix)\(key)", query: query)
  }

  /// One request, or parts where it is large; see `ObjectStore`.
  public func put(
    _ key: String, from source: ObjectSource, sha256: String?, replacing: Bool
  ) async throws(ObjectStoreError) -> ObjectInfo {
    try checkedKey(key, isWritten: true)
    let content = try await HTTPExchange.summary(of: source, sha256: sha256, key: key)
    if case .file(let path) = source, content.size > settings.singlePutLimit {
      let size = Self.partSize(for: content.size, atLeast: settings.partSize, most: 10_000)
      return try await putInParts(key, path: path, content: content, partSize: size, replacing: replacing)
    }
    var call = call("PUT", key)
    call.body = source
    call.content = content
    call.set("content-type", "application/octet-stream")
    call.set("x-amz-meta-sha256", content.sha256)
    return try await exchange.write(call, key: key, replacing: replacing)
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

  /// See `ObjectStore`.
  public func delete(_ key: String) async throws(ObjectStoreError) {
    try checkedKey(key)
    _ = try await exchange.perform(call("DELETE", key), key: key, accepting: [200, 204, 404])
  }

  /// Makes the bucket; one that is there, and one's own, is fine.
  public func createBucket() async throws(ObjectStoreError) {
    let call = HTTPCall(method: "PUT", origin: "", path: settings.isVirtualHosted ? "/" : "")
    let answer = try await exchange.perform(call, key: "", accepting: [200, 409])
    let word = dialect.explain(answer).word
    if answer.status == 409, word != "BucketAlreadyOwnedByYou" {
      throw ObjectStoreError(.denied, key: "", reason: "bucket \(settings.bucket): \(word ?? "409")")
    }
  }

  /// An address that lets whoever has it make one kind of request on one object for `seconds`, at most seven days.
  public func presigned(_ method: String, _ key: String, seconds: Int64) throws(ObjectStoreError) -> String {
    try checkedKey(key)
    return try dialect.presign(call(method, key), seconds: seconds)
  }

  /// Keys of the days from now to `until`; see `S3Access` for what they do not limit.
  public func delegate(
    read: [String], write: [String], until: Timestamp
  ) async throws(ObjectStoreError) -> StoreAccess {
    guard case .secret(let secret) = dialect.key else {
      throw ObjectStoreError(.denied, key: "", reason: "a store that was lent by day keys cannot be lent on")
    }
    let days = S3DayKeys.derive(
      secret: secret, region: settings.region, from: Timestamp(microseconds: dialect.now * 1_000_000), until: until)
    return .s3(
      S3Access(
        endpoint: settings.endpoint, region: settings.region, bucket: settings.bucket, prefix: settings.prefix,
        isVirtualHosted: settings.isVirtualHosted, accessKey: dialect.accessKey, sessionToken: dialect.sessionToken,
        days: days))
  }
}

/// The machine's wall clock: only for signatures, which need it.
public enum WallClock {
  /// Seconds since 1970.
  public static var seconds: Int64 { Int64(time(nil)) }
}
