import Crypto
import Domain
import Foundation
import HTTPTypes
import Hummingbird
import Logging
import Store
import Wire

/// One address of the API: what it is for, who may use it, and what it does.
///
/// The router and the OpenAPI document are both made from the list of these.
struct Route: Sendable {
  /// Who may use it.
  enum Access: Sendable {
    /// Anyone, without a token.
    case open
    /// Any token.
    case viewer
    /// Tokens of role user and admin.
    case user
    /// Tokens of role admin.
    case admin
  }

  let method: HTTPRequest.Method
  /// As in `/leases/{lease}`, below `API.root`.
  let path: String
  let access: Access
  let summary: String
  /// The type of the body that it takes.
  var takes: (any (Decodable & SendableMetatype).Type)?
  /// The type of what it gives; nil for streams and texts.
  var gives: (any (Encodable & SendableMetatype).Type)?
  let handle: @Sendable (Call) async throws -> Response
}

/// Takes a request in: who asks, may they, what for; and turns errors into answers.
///
/// The one place where that is done.
struct Harness: Sendable {
  let services: Services

  /// Runs `route` for `request`.
  func answer(_ route: Route, _ request: Request, _ context: BasicRequestContext) async -> Response {
    do {
      let principal = try await authenticate(request, for: route.access)
      let call = Call(request: request, context: context, principal: principal, services: services)
      return try await route.handle(call)
    } catch {
      return .failure(APIFailure(describing: error, logger: services.logger))
    }
  }

  /// Who asks.
  ///
  /// Throws `.unauthenticated` and `.denied`.
  func authenticate(_ request: Request, for access: Route.Access) async throws -> Principal {
    if case .open = access { return .anonymous }
    guard let secret = Self.secret(of: request) else {
      throw APIFailure(
        .unauthenticated,
        "a token is needed: `Authorization: Bearer ...`. Make one with `batond token create --user NAME --project NAME`"
      )
    }
    guard let principal = try await services.store.authenticate(secretHash: Self.hash(secret)) else {
      throw APIFailure(.unauthenticated, "this token is not known here, has expired, or was taken back")
    }
    switch (access, principal.role) {
    case (.admin, .user), (.admin, .viewer):
      throw APIFailure(.denied, "this needs a token of role admin; yours is '\(principal.role.rawValue)'")
    case (.user, .viewer):
      throw APIFailure(.denied, "this needs a token that may change things; yours is 'viewer'")
    default:
      return principal
    }
  }

  /// The token in the header, or in the cookie of a browser.
  private static func secret(of request: Request) -> String? {
    if let header = request.headers[.authorization] {
      let prefix = "Bearer "
      return header.hasPrefix(prefix) ? String(header.dropFirst(prefix.count)) : nil
    }
    return request.cookies[cookieName]?.value
  }

  /// What a browser keeps its token in.
  static let cookieName = "baton_token"

  /// What the database knows of a token.
  static func hash(_ secret: String) -> String {
    SHA256.hash(data: Data(secret.utf8)).hexadecimal
  }
}
