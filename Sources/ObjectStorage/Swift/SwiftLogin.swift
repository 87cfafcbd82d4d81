import Domain
import FoundationEssentials

/// Gets tokens from TempAuth or Keystone.
struct SwiftLogin: Sendable {
  let authentication: SwiftAuthentication
  /// Which of a Keystone catalog's endpoints; nil for the first.
  let region: String?
  /// `public`, `internal` or `admin`.
  let interface: String
  /// Instead of what the catalog, or TempAuth, says.
  let storageURL: String?
  let transport: HTTPTransport
  let policy: StoreRetryPolicy
  let pacing: Pacing

  /// A new token.
  func session() async throws(ObjectStoreError) -> SwiftSession {
    let call = try call()
    let exchange = HTTPExchange(transport: transport, dialect: LoginDialect(), policy: policy, pacing: pacing)
    let answer = try await exchange.perform(call, key: "", accepting: [200, 201, 204], limit: 4 << 20)
    let session: SwiftSession?
    switch authentication {
    case .v1: session = v1(answer)
    case .password, .applicationCredential: session = try keystone(answer)
    }
    guard let session else {
      throw ObjectStoreError(
        .unavailable, key: "", reason: "\(authentication.url) answered without token and storage URL")
    }
    return session
  }

  private func v1(_ answer: HTTPAnswer) -> SwiftSession? {
    guard let token = answer.header("x-auth-token"), let url = storageURL ?? answer.header("x-storage-url") else {
      return nil
    }
    let seconds = answer.header("x-auth-token-expires").flatMap { Int64($0) }
    return SwiftSession(token: token, storageURL: url, life: seconds.map { .seconds($0) })
  }

  private func keystone(_ answer: HTTPAnswer) throws(ObjectStoreError) -> SwiftSession? {
    let body: KeystoneAnswer
    do { body = try JSONDecoder().decode(KeystoneAnswer.self, from: Data(answer.body)) } catch {
      throw ObjectStoreError(.unavailable, key: "", reason: "the answer of \(authentication.url) is no token: \(error)")
    }
    guard let token = answer.header("x-subject-token") else { return nil }
    // Both by Keystone's clock: this machine's may be off.
    let life = HTTPDate.parseISO(body.token.expires_at).flatMap { end in
      HTTPDate.parseISO(body.token.issued_at).map { Duration.seconds(max(0, end - $0)) }
    }
    let url: String
    if let storageURL { url = storageURL } else { url = try endpoint(body) }
    return SwiftSession(token: token, storageURL: url, life: life)
  }

  private func endpoint(_ answer: KeystoneAnswer) throws(ObjectStoreError) -> String {
    let endpoints = (answer.token.catalog ?? []).filter { $0.type == "object-store" }.flatMap(\.endpoints)
    let fitting = endpoints.first { endpoint in
      endpoint.interface == interface && (region.map { $0 == endpoint.region_id || $0 == endpoint.region } ?? true)
    }
    if let fitting { return fitting.url }
    let known = endpoints.map { "\($0.interface) in \($0.region_id ?? $0.region ?? "no region")" }
    throw ObjectStoreError(
      .notFound, key: "",
      reason: "the catalog of \(authentication.url) has no object-store that is \(interface)"
        + (region.map { " in \($0)" } ?? "") + ", only: \(known.isEmpty ? "none" : known.joined(separator: ", "))")
  }

  private func call() throws(ObjectStoreError) -> HTTPCall {
    let url = authentication.url
    guard let address = ServiceAddress(url) else {
      throw ObjectStoreError(.badRequest, key: "", reason: "'\(url)' is no address of an authentication service")
    }
    var call = HTTPCall(method: "GET", origin: address.origin, path: address.path)
    let identity: KeystoneRequest.Identity
    var scope: KeystoneRequest.Scope?
    switch authentication {
    case .v1(_, let user, let key):
      call.set("x-auth-user", user)
      call.set("x-auth-key", key)
      return call
    case .password(_, let user, let userDomain, let password, let project, let projectDomain):
      identity = .init(
        methods: ["password"],
        password: .init(user: .init(name: user, domain: .init(id: userDomain), password: password)),
        application_credential: nil)
      scope = .init(project: .init(name: project, domain: .init(id: projectDomain)))
    case .applicationCredential(_, let id, let secret):
      identity = .init(
        methods: ["application_credential"], password: nil, application_credential: .init(id: id, secret: secret))
    }
    do {
      let body = Array(try JSONEncoder().encode(KeystoneRequest(auth: .init(identity: identity, scope: scope))))
      call.method = "POST"
      call.path += "/auth/tokens"
      call.body = .bytes(body)
      call.set("content-type", "application/json")
      call.set("accept", "application/json")
      return call
    } catch {
      throw ObjectStoreError(.badRequest, key: "", reason: "\(error)")
    }
  }
}

/// Nothing is signed: what proves who asks is in the request.
private struct LoginDialect: StoreDialect {
  func sign(_ call: HTTPCall) async throws(ObjectStoreError) -> HTTPCall { call }
  func mayBelieve(afterRefusal answer: HTTPAnswer, of signed: HTTPCall) async -> Bool { false }
  func explain(_ answer: HTTPAnswer) -> (word: String?, text: String) { (nil, answer.excerpt) }
  func checksum(_ headers: [String: String], tag: String) -> Checksum? { nil }
}

// Field names are Keystone's.
// swift-format-ignore: AlwaysUseLowerCamelCase
private struct KeystoneRequest: Encodable {
  struct Domain: Encodable { var id: String }
  struct User: Encodable {
    var name: String
    var domain: Domain
    var password: String
  }
  struct Password: Encodable { var user: User }
  struct ApplicationCredential: Encodable {
    var id: String
    var secret: String
  }
  struct Identity: Encodable {
    var methods: [String]
    var password: Password?
    var application_credential: ApplicationCredential?
  }
  struct Project: Encodable {
    var name: String
    var domain: Domain
  }
  struct Scope: Encodable { var project: Project }
  struct Auth: Encodable {
    var identity: Identity
    var scope: Scope?
  }
  var auth: Auth
}

// swift-format-ignore: AlwaysUseLowerCamelCase
private struct KeystoneAnswer: Decodable {
  struct Endpoint: Decodable {
    var interface: String
    var region: String?
    var region_id: String?
    var url: String
  }
  struct Service: Decodable {
    var type: String
    var endpoints: [Endpoint]
  }
  struct Token: Decodable {
    var expires_at: String
    var issued_at: String
    var catalog: [Service]?
  }
  var token: Token
}
