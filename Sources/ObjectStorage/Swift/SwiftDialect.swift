import Domain
import FoundationEssentials

/// Swift's way: a token in a header, and one address for an account, which comes with the token.
struct SwiftDialect: StoreDialect {
  let tokens: SwiftTokens

  /// Paths of calls begin below the account.
  func sign(_ call: HTTPCall) async throws(ObjectStoreError) -> HTTPCall {
    let session = try await tokens.session()
    var call = call
    call.origin = session.origin
    call.path = session.path + call.path
    call.set("x-auth-token", session.token)
    return call
  }

  /// Gets another token after a 401, which says that the one that was used ended or was revoked; a 403 is about rights.
  func mayBelieve(afterRefusal answer: HTTPAnswer, of signed: HTTPCall) async -> Bool {
    guard answer.status == 401, let token = signed.header("x-auth-token") else { return false }
    do { return try await tokens.session(otherThan: token).token != token } catch { return false }
  }

  func explain(_ answer: HTTPAnswer) -> (word: String?, text: String) { SwiftWords.explain(answer) }

  func checksum(_ headers: [String: String], tag: String) -> Checksum? { SwiftWords.checksum(headers, tag: tag) }
}

/// What answers of Swift mean, however they were asked for.
enum SwiftWords {
  /// Swift answers with a page of HTML or a line of text.
  static func explain(_ answer: HTTPAnswer) -> (word: String?, text: String) {
    var text = ""
    var isTag = false
    for character in answer.excerpt {
      if character == "<" { isTag = true }
      if !isTag { text.append(character) }
      if character == ">" {
        isTag = false
        if text.last.map({ $0 != " " }) ?? false { text.append(" ") }
      }
    }
    return (nil, text.hasSuffix(" ") ? String(text.dropLast()) : text)
  }

  /// Under temporary URLs only metadata whose names begin with `public-` is told.
  static func checksum(_ headers: [String: String], tag: String) -> Checksum? {
    for name in ["x-object-meta-sha256", "x-object-meta-public-sha256"] {
      if let sha256 = headers[name], Checksum.isHex(sha256, length: 64) { return .sha256(sha256) }
    }
    // The ETag of an object in parts is a hash of hashes, and comes in quotes.
    let isWhole =
      headers["x-static-large-object"] == nil && headers["x-object-manifest"] == nil
      && !(headers["etag"]?.hasPrefix("\"") ?? true)
    return isWhole && Checksum.isHex(tag, length: 32) ? .md5(tag) : .opaque(tag)
  }
}
