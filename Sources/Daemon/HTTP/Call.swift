import AsyncAlgorithms
import Domain
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import NIOFoundationCompat
import NIOFoundationEssentialsCompat
import ServiceLifecycle
import Store
import Wire

/// What a handler gets: who asks, for what, with what.
struct Call: Sendable {
  /// The request; its body can be read once.
  let request: Request
  /// Hummingbird's own.
  let context: BasicRequestContext
  /// Who asks, and by what right.
  let principal: Principal
  /// Everything that handlers use.
  let services: Services

  /// A part of the path that a `{name}` of the route stands for.
  func parameter(_ name: String) throws -> String {
    guard let value = context.parameters.get(name)?.removingPercentEncoding, !value.isEmpty else {
      throw APIFailure(.badRequest, "the address lacks its '\(name)'")
    }
    return value
  }

  /// A value behind the `?` of the address; nil where there is none.
  func query(_ name: String) -> String? {
    request.uri.queryParameters[Substring(name)].map(String.init)
  }

  /// How far a reader of a stream had come before it lost it: the header that browsers send, or `?after=`.
  var lastEventID: String? {
    HTTPField.Name("Last-Event-ID").flatMap { request.headers[$0] } ?? query("after")
  }

  /// A flag behind the `?`: absent is false.
  func flag(_ name: String) throws -> Bool {
    switch query(name) {
    case nil, "false", "0": return false
    case "true", "1", "": return true
    case .some(let other): throw APIFailure(.badRequest, "'\(name)' is true or false, not '\(other)'")
    }
  }

  /// A whole number behind the `?`, within `range`; `standard` where it is absent.
  func number(_ name: String, within range: ClosedRange<Int>, standard: Int) throws -> Int {
    guard let text = query(name) else { return standard }
    guard let value = Int(text), range.contains(value) else {
      throw APIFailure(
        .badRequest, "'\(name)' is a whole number from \(range.lowerBound) to \(range.upperBound), not '\(text)'")
    }
    return value
  }

  /// The body, as JSON; at most `limit` bytes.
  func body<Body: Decodable>(_ type: Body.Type = Body.self, limit: Int = 16 << 20) async throws -> Body {
    guard let body = try await optionalBody(type, limit: limit) else {
      throw APIFailure(.badRequest, "the body is empty; it should be a \(Body.self)")
    }
    return body
  }

  /// The body, as JSON; nil where there is none.
  func optionalBody<Body: Decodable>(_ type: Body.Type, limit: Int = 16 << 20) async throws -> Body? {
    let buffer: ByteBuffer
    do {
      buffer = try await request.body.collect(upTo: limit)
    } catch {
      throw APIFailure(.tooLarge, "the body is larger than \(ByteCount(Int64(limit)))")
    }
    if buffer.readableBytes == 0 { return nil }
    do {
      return try JSONDecoder().decode(Body.self, from: Data(buffer: buffer, byteTransferStrategy: .automatic))
    } catch {
      throw APIFailure(.badRequest, "the body is not a \(Body.self): \(error)")
    }
  }

  /// Where the administrator's right is needed.
  func requireAdmin() throws {
    guard principal.role == .admin else {
      throw APIFailure(.denied, "this needs a token of role admin; yours is '\(principal.role.rawValue)'")
    }
  }
}

/// How a response is made.
extension Response {
  /// A value, as JSON.
  static func json(_ value: some Encodable, status: HTTPResponse.Status = .ok) throws -> Response {
    let encoder = JSONEncoder()
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: NonNumber.infinity, negativeInfinity: NonNumber.minusInfinity, nan: NonNumber.nan)
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let data = try encoder.encode(value)
    return Response(
      status: status, headers: [.contentType: "application/json; charset=utf-8"],
      body: ResponseBody(byteBuffer: ByteBuffer(bytes: data)))
  }

  /// A page.
  static func html(_ text: String, status: HTTPResponse.Status = .ok) -> Response {
    Response(
      status: status,
      headers: [
        .contentType: "text/html; charset=utf-8",
        .contentSecurityPolicy:
          "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
          + "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
      ], body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
  }

  /// What `produce` sends, as it is sent; a slow reader slows it down, and one that leaves cancels it.
  ///
  /// It ends when the server is told to: it could go on for days otherwise, and the server with it. Where its `length`
  /// is known, readers notice what does not come whole.
  static func stream(
    contentType: String, length: Int64? = nil,
    _ produce: @escaping @Sendable (_ send: @escaping @Sendable (ByteBuffer) async -> Void) async throws -> Void
  ) -> Response {
    Response(
      status: .ok, headers: [.contentType: contentType, .cacheControl: "no-store"],
      body: ResponseBody(contentLength: length.map { Int($0) }) { writer in
        let channel = AsyncThrowingChannel<ByteBuffer, any Error>()
        try await withThrowingTaskGroup(of: Void.self) { group in
          group.addTask {
            do {
              try await cancelWhenGracefulShutdown { try await produce { await channel.send($0) } }
              channel.finish()
            } catch is CancellationError {
              channel.finish()
            } catch {
              channel.fail(error)
            }
          }
          defer { group.cancelAll() }
          for try await piece in channel { try await writer.write(piece) }
        }
        try await writer.finish(nil)
      })
  }

  /// A failure, with the status that goes with its code.
  static func failure(_ failure: APIFailure) -> Response {
    do {
      return try .json(failure, status: failure.code.status)
    } catch {
      return Response(status: failure.code.status)
    }
  }
}

extension APIFailure.Code {
  /// The HTTP status that goes with it.
  var status: HTTPResponse.Status {
    switch self {
    case .badRequest: .badRequest
    case .badJobFile: .unprocessableContent
    case .tooLarge: .contentTooLarge
    case .unauthenticated: .unauthorized
    case .denied: .forbidden
    case .notFound: .notFound
    case .conflict, .wrongState: .conflict
    case .unavailable: .serviceUnavailable
    case .internal, .unknown: .internalServerError
    }
  }
}
