/// A request to a store, before it is signed.
struct HTTPCall: Sendable {
  /// `GET`, `PUT`...
  var method: String
  /// Scheme, host and port: `https://store.example:8080`.
  var origin: String
  /// The path, not escaped; starts with a slash.
  var path: String
  /// Names and values, not escaped.
  var query: [(name: String, value: String)] = []
  /// Names in lower case.
  var headers: [(name: String, value: String)] = []
  /// What is sent.
  var body: ObjectSource?
  /// Hashes and length of `body`.
  var content: ContentSummary = .empty

  /// What the request's line and the `url` of a signed link are made of.
  var url: String {
    let target = origin + PercentEncoding.encode(path, keepingSlashes: true)
    return query.isEmpty ? target : "\(target)?\(PercentEncoding.query(query))"
  }

  /// `PUT /bucket/key`, for messages: without the query, which may be a signature.
  var title: String { "\(method) \(path)" }

  /// Host and port as the `host` header says them.
  var host: String { ServiceAddress(origin)?.authority ?? origin }

  /// The value of a header that was set.
  func header(_ name: String) -> String? { headers.first { $0.name == name }?.value }

  /// Sets a header, replacing one of that name.
  mutating func set(_ name: String, _ value: String) {
    headers.removeAll { $0.name == name }
    headers.append((name, value))
  }
}

/// The answer to a call, read to its end.
struct HTTPAnswer: Sendable {
  /// 200, 404...
  var status: Int
  /// Names in lower case.
  var headers: [String: String]
  /// At most what the call allowed for.
  var body: [UInt8]

  /// The value of a header, whatever the case of its name.
  func header(_ name: String) -> String? { headers[name] }

  /// The body as text, for messages: one line, cut.
  var excerpt: String {
    let text = String(decoding: body.prefix(300), as: UTF8.self)
    return text.split(whereSeparator: \.isNewline).joined(separator: " ")
  }
}

/// What is known of bytes before they are sent.
struct ContentSummary: Hashable, Sendable {
  /// 64 hexadecimal digits.
  var sha256: String
  /// 32 hexadecimal digits; nil where nobody needs to know.
  var md5: String?
  /// In bytes.
  var size: Int64

  /// Of no bytes at all.
  static let empty = ContentSummary(
    sha256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    md5: "d41d8cd98f00b204e9800998ecf8427e", size: 0)
}
