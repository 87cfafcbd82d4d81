import Domain

/// What differs between the stores that speak HTTP: who is asked, how a request is signed, how a refusal is worded.
protocol StoreDialect: Sendable {
  /// Completes and signs a request.
  func sign(_ call: HTTPCall) async throws(ObjectStoreError) -> HTTPCall

  /// Whether the same request, signed again, may be believed: after a new token, or with the store's clock.
  func mayBelieve(afterRefusal answer: HTTPAnswer, of signed: HTTPCall) async -> Bool

  /// The store's own word for a failure, and its text for people.
  func explain(_ answer: HTTPAnswer) -> (word: String?, text: String)

  /// What a successful answer says about an object besides length and version.
  func checksum(_ headers: [String: String], tag: String) -> Checksum?
}

/// An answer that is no success.
struct StoreRefusal: Error {
  /// For whoever asked.
  var error: ObjectStoreError
  /// Whether the same request may succeed in a moment.
  var isTransient: Bool
  /// The pause the store asks for.
  var pause: Duration?

  /// What `answer` to `call` about `key` means.
  init(_ answer: HTTPAnswer, to call: HTTPCall, key: String, dialect: any StoreDialect) {
    let (word, text) = dialect.explain(answer)
    let reason = "\(call.title) was answered \(answer.status)" + (text.isEmpty ? "" : ": \(text)")
    let code: ObjectStoreError.Code
    isTransient = Self.transientStatuses.contains(answer.status) || word.map(Self.transientWords.contains) ?? false
    switch (answer.status, word) {
    case (_, "BadDigest"), (_, "XAmzContentSHA256Mismatch"), (_, "IncompleteBody"), (422, _): code = .checksumMismatch
    case (_, "QuotaExceeded"), (507, _), (413, _): code = .outOfSpace
    case (_, "NoSuchUpload"), (_, "InvalidPart"): code = .badRequest
    case _ where isTransient: code = .unavailable
    case (401, _), (403, _): code = .denied
    // To a write or a listing the container is what is missing, which must not be taken for an empty one.
    case (404, _) where !call.isAboutOneObject || word == "NoSuchBucket": code = .unavailable
    case (404, _): code = .notFound
    case (412, _): code = call.header("if-none-match") != nil ? .exists : .changed
    case (405, _), (500..., _): code = .unavailable
    default: code = .badRequest
    }
    error = ObjectStoreError(code, key: key, reason: reason)
    pause = Self.retryAfter(answer)
  }

  private static let transientStatuses: Set<Int> = [408, 429, 498, 500, 502, 503, 504]
  /// AWS says some of these with 400 and 409.
  private static let transientWords: Set<String> = [
    "RequestTimeout", "SlowDown", "InternalError", "ServiceUnavailable", "ConditionalRequestConflict",
    "OperationAborted",
  ]

  /// Seconds, or a date, which is compared with the store's own clock.
  private static func retryAfter(_ answer: HTTPAnswer) -> Duration? {
    guard let text = answer.header("retry-after") else { return nil }
    if let seconds = Int64(text) { return .seconds(max(0, seconds)) }
    guard let then = HTTPDate.parse(text), let now = answer.header("date").flatMap(HTTPDate.parse) else { return nil }
    return .seconds(max(0, then - now))
  }
}

extension HTTPAnswer {
  /// The ETag without quotes and without the mark of weakness.
  var tag: String? { header("etag").map(ETag.bare) }
}

extension HTTPCall {
  /// Whether the object itself is what can be missing.
  fileprivate var isAboutOneObject: Bool {
    ["GET", "HEAD", "DELETE"].contains(method) && !query.contains { $0.name == "prefix" }
  }
}

/// Versions of objects as HTTP writes them.
enum ETag {
  /// Without quotes and `W/`.
  static func bare(_ text: String) -> String {
    var text = Substring(text)
    if text.hasPrefix("W/") { text = text.dropFirst(2) }
    if text.hasPrefix("\""), text.hasSuffix("\""), text.count >= 2 { text = text.dropFirst().dropLast() }
    return String(text)
  }

  /// With quotes.
  static func quoted(_ tag: String) -> String { "\"\(tag)\"" }
}
