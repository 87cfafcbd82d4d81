import Domain
import Synchronization

/// What requests to S3 are signed with.
enum S3Key: Sendable {
  /// The secret itself.
  case secret(String)
  /// Keys of some days, by day.
  case days([String: [UInt8]])

  /// The key of a day; nil where it was not given.
  func dayKey(_ day: String, region: String) -> [UInt8]? {
    switch self {
    case .secret(let secret): SigV4.dayKey(secret: secret, day: day, region: region)
    case .days(let keys): keys[day]
    }
  }
}

/// Signs requests to a bucket, by the store's clock once that is known to differ from the machine's.
final class S3Dialect: StoreDialect {
  let endpoint: String
  let region: String
  let bucket: String
  let isVirtualHosted: Bool
  let accessKey: String
  let sessionToken: String?
  let key: S3Key
  /// Seconds since 1970.
  let clock: @Sendable () -> Int64
  private let skew = Mutex<Int64>(0)

  init(
    endpoint: String, region: String, bucket: String, isVirtualHosted: Bool, accessKey: String, sessionToken: String?,
    key: S3Key, clock: @escaping @Sendable () -> Int64
  ) {
    self.endpoint = endpoint
    self.region = region
    self.bucket = bucket
    self.isVirtualHosted = isVirtualHosted
    self.accessKey = accessKey
    self.sessionToken = sessionToken
    self.key = key
    self.clock = clock
  }

  /// The store's time, in seconds since 1970.
  var now: Int64 { clock() + skew.withLock { $0 } }

  private func scopeAndKey(_ call: HTTPCall) throws(ObjectStoreError) -> (SigV4.Scope, [UInt8]) {
    let scope = SigV4.Scope(seconds: now, region: region)
    guard let dayKey = key.dayKey(scope.day, region: region) else {
      throw ObjectStoreError(
        .denied, key: call.path, reason: "this node was given no key for \(scope.day): its lease was to be over")
    }
    return (scope, dayKey)
  }

  /// Completes origin and path: the bucket goes into the one or the other.
  private func addressed(_ call: HTTPCall) -> HTTPCall {
    var call = call
    if isVirtualHosted, let service = ServiceAddress(endpoint) {
      call.origin = "\(service.scheme)://\(bucket).\(service.authority)"
    } else {
      call.origin = endpoint
      call.path = "/\(bucket)\(call.path)"
    }
    return call
  }

  /// Signs all headers and the hash of the body, which is known before anything is sent: the store then refuses what
  /// was changed on its way, also over plain http, where `UNSIGNED-PAYLOAD` would let it pass.
  func sign(_ call: HTTPCall) async throws(ObjectStoreError) -> HTTPCall {
    let (scope, dayKey) = try scopeAndKey(call)
    var call = addressed(call)
    call.set("host", call.host)
    call.set("x-amz-date", scope.instant)
    call.set("x-amz-content-sha256", call.content.sha256)
    if let sessionToken { call.set("x-amz-security-token", sessionToken) }
    let signature = SigV4.sign(call, payload: call.content.sha256, scope: scope, key: dayKey)
    call.set(
      "authorization",
      "AWS4-HMAC-SHA256 Credential=\(accessKey)/\(scope.text),SignedHeaders=\(signature.signedHeaders),"
        + "Signature=\(signature.hex)")
    return call
  }

  /// An address that may be used by whoever has it, for `seconds`, at most seven days.
  func presign(_ call: HTTPCall, seconds: Int64) throws(ObjectStoreError) -> String {
    let (scope, dayKey) = try scopeAndKey(call)
    var call = addressed(call)
    call.headers = [("host", call.host)]
    call.query += [
      ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"), ("X-Amz-Credential", "\(accessKey)/\(scope.text)"),
      ("X-Amz-Date", scope.instant), ("X-Amz-Expires", String(min(max(1, seconds), 604_800))),
      ("X-Amz-SignedHeaders", "host"),
    ]
    if let sessionToken { call.query.append(("X-Amz-Security-Token", sessionToken)) }
    let signature = SigV4.sign(call, payload: "UNSIGNED-PAYLOAD", scope: scope, key: dayKey)
    call.query.append(("X-Amz-Signature", signature.hex))
    return call.url
  }

  /// Learns the store's clock where that was the reason; an answer to HEAD has no body that could say so.
  func mayBelieve(afterRefusal answer: HTTPAnswer, of signed: HTTPCall) async -> Bool {
    let word = explain(answer).word
    guard word == "RequestTimeTooSkewed" || word == "RequestExpired" || signed.method == "HEAD",
      let theirs = answer.header("date").flatMap(HTTPDate.parse)
    else { return false }
    let difference = theirs - clock()
    guard abs(theirs - now) > 60 else { return false }
    // A node has keys of its lease's days alone. Another day's clock is of no use to it, and once learned it would sign
    // nothing more, however short the mistake of whoever answered.
    guard key.dayKey(SigV4.Scope(seconds: theirs, region: region).day, region: region) != nil else { return false }
    skew.withLock { $0 = difference }
    return true
  }

  /// Reads the error's document.
  func explain(_ answer: HTTPAnswer) -> (word: String?, text: String) {
    guard let error = try? XMLElement.parse(answer.body), error.name == "Error" else { return (nil, answer.excerpt) }
    let word = error.text("Code")
    return (word, [word, error.text("Message")].compactMap { $0 }.joined(separator: ": "))
  }

  /// The ETag is no MD5 where an object came in parts, or where the store encrypts with a customer's key.
  func checksum(_ headers: [String: String], tag: String) -> Checksum? {
    if let sha256 = headers["x-amz-meta-sha256"], Checksum.isHex(sha256, length: 64) { return .sha256(sha256) }
    let isPlain = headers["x-amz-server-side-encryption"].map { $0 == "AES256" } ?? true
    let hasOwnKey = headers["x-amz-server-side-encryption-customer-algorithm"] != nil
    return Checksum.isHex(tag, length: 32) && isPlain && !hasOwnKey ? .md5(tag) : .opaque(tag)
  }
}
