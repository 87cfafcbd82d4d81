import Crypto
import Domain

/// AWS Signature Version 4, as the "Signature Version 4 signing process" of AWS's reference describes it: pure.
enum SigV4 {
  /// The key that signs the requests of one UTC day; the secret cannot be computed from it.
  static func dayKey(secret: String, day: String, region: String, service: String = "s3") -> [UInt8] {
    [day, region, service, "aws4_request"].reduce(Array("AWS4\(secret)".utf8)) { hmac($0, $1) }
  }

  /// What a signature covers, and where it is good.
  struct Scope: Hashable, Sendable {
    /// In seconds since 1970.
    var seconds: Int64
    var region: String
    var service = "s3"

    var day: String { HTTPDate.day(seconds) }
    var instant: String { HTTPDate.compact(seconds) }
    var text: String { "\(day)/\(region)/\(service)/aws4_request" }
  }

  /// Names of the signed headers, and the signature over them.
  struct Signature: Hashable, Sendable {
    var signedHeaders: String
    var hex: String
  }

  /// Signs a request whose `headers` are those that are to be covered, `host` among them.
  static func sign(_ call: HTTPCall, payload: String, scope: Scope, key: [UInt8]) -> Signature {
    let headers = call.headers
      .map { (name: $0.name.lowercased(), value: trimmed($0.value)) }
      .sorted { $0.name < $1.name }
    let names = headers.map(\.name).joined(separator: ";")
    let request = canonicalRequest(call, headers: headers, names: names, payload: payload)
    let text = "AWS4-HMAC-SHA256\n\(scope.instant)\n\(scope.text)\n\(ContentHash.of(Array(request.utf8)))"
    return Signature(signedHeaders: names, hex: hmac(key, text).hexadecimal)
  }

  static func canonicalRequest(
    _ call: HTTPCall, headers: [(name: String, value: String)], names: String, payload: String
  ) -> String {
    let query = call.query
      .map { (PercentEncoding.encode($0.name), PercentEncoding.encode($0.value)) }
      .sorted { ($0.0, $0.1) < ($1.0, $1.1) }
      .map { "\($0.0)=\($0.1)" }
      .joined(separator: "&")
    let lines = headers.map { "\($0.name):\($0.value)\n" }.joined()
    let path = PercentEncoding.encode(call.path, keepingSlashes: true)
    return "\(call.method)\n\(path)\n\(query)\n\(lines)\n\(names)\n\(payload)"
  }

  /// Without blanks around it, and with one blank for several.
  private static func trimmed(_ value: String) -> String {
    value.split(separator: " ").joined(separator: " ")
  }

  private static func hmac(_ key: [UInt8], _ text: String) -> [UInt8] {
    Array(HMAC<SHA256>.authenticationCode(for: Array(text.utf8), using: SymmetricKey(data: key)))
  }
}
