import Crypto
public import Domain
public import Wire

/// Signatures of Swift's `tempurl` middleware, with SHA-256.
public enum TempURL {
  /// The signature for `method` on `path` (`/v1/AUTH_account/container/object`, not escaped) until `expires`, in
  /// seconds since 1970; with `isPrefix` on everything whose path begins so.
  public static func sign(
    key: String, method: String, path: String, expires: Int64, isPrefix: Bool = false
  ) -> String {
    let text = "\(method)\n\(expires)\n\(isPrefix ? "prefix:" : "")\(path)"
    return HMAC<SHA256>.authenticationCode(for: Array(text.utf8), using: SymmetricKey(data: Array(key.utf8)))
      .hexadecimal
  }
}

extension SwiftObjectStore {
  /// An address that lets whoever has it make one kind of request on one object until `until`.
  public func temporaryURL(
    _ method: String, _ key: String, until: Timestamp
  ) async throws(ObjectStoreError) -> String {
    try checkedKey(key)
    let session = try await tokens.session()
    let expires = until.microseconds / 1_000_000
    var call = call(method, key)
    call.origin = session.origin
    call.path = session.path + call.path
    call.query = [
      ("temp_url_sig", TempURL.sign(key: try await tempURLKey(), method: method, path: call.path, expires: expires)),
      ("temp_url_expires", String(expires)),
    ]
    return call.url
  }

  /// Signatures by prefix, which end at `until`.
  public func delegate(
    read: [String], write: [String], until: Timestamp
  ) async throws(ObjectStoreError) -> StoreAccess {
    let session = try await tokens.session()
    let secret = try await tempURLKey()
    let expires = until.microseconds / 1_000_000
    let containerPath = "\(session.path)/\(settings.container)"
    func grants(_ prefixes: [String], _ methods: [String]) -> [SwiftTempURLAccess.Grant] {
      prefixes.flatMap { prefix in
        methods.map { method in
          let name = settings.prefix + prefix
          let signature = TempURL.sign(
            key: secret, method: method, path: "\(containerPath)/\(name)", expires: expires, isPrefix: true)
          return SwiftTempURLAccess.Grant(method: method, prefix: name, signature: signature)
        }
      }
    }
    return .swiftTempURL(
      SwiftTempURLAccess(
        origin: session.origin, containerPath: containerPath, prefix: settings.prefix,
        grants: grants(read, ["GET", "HEAD"]) + grants(write, ["GET", "HEAD", "PUT", "DELETE"]), expires: expires))
  }

  /// The secret of the container's temporary URLs; one is made where there is none.
  private func tempURLKey() async throws(ObjectStoreError) -> String {
    if let known = settings.tempURLKey { return known }
    if let found = try await containerKey() { return found }
    var call = HTTPCall(method: "POST", origin: "", path: "/\(settings.container)")
    let bytes = (0..<32).map { _ in UInt8.random(in: 0...255) }
    call.set("x-container-meta-temp-url-key", bytes.hexadecimal)
    _ = try await exchange.perform(call, key: "")
    // Another controller may have made one at the same moment: what is there now is what counts.
    guard let made = try await containerKey() else {
      throw ObjectStoreError(
        .denied, key: "",
        reason: "the container \(settings.container) keeps no key for temporary URLs, or does not tell it")
    }
    return made
  }

  private func containerKey() async throws(ObjectStoreError) -> String? {
    let call = HTTPCall(method: "HEAD", origin: "", path: "/\(settings.container)")
    return try await exchange.perform(call, key: "").header("x-container-meta-temp-url-key")
  }
}
