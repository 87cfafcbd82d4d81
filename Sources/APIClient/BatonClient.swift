import AsyncHTTPClient
import Foundation
import NIOCore
import NIOFoundationCompat
import NIOHTTP1
import Wire

/// A typed client of the API of `docs/api.md`.
///
/// Lent by `with(_:_:)`; safe to use from many tasks at once.
///
/// Every method throws `ClientFailure`, or `CancellationError` where its task was cancelled. Requests that mean the
/// same when they are made twice are made again, twice at most, when the connection fails; others never are.
public final class BatonClient: Sendable {
  /// The server's base address.
  public let url: String
  private let token: String?
  private let http: HTTPClient
  /// For answers that go on for days: the server shows signs of life in them, and one that shows none is gone.
  private let streaming: HTTPClient
  private let answerSeconds: Int

  private init(_ configuration: ClientConfiguration, http: HTTPClient, streaming: HTTPClient, answerSeconds: Int) {
    url = configuration.url
    token = configuration.token
    self.http = http
    self.streaming = streaming
    self.answerSeconds = answerSeconds
  }

  /// Lends a client to `body` and closes its connections afterwards.
  ///
  /// - Parameter answerSeconds: how long an answer may take to begin, and a short one to be complete.
  public static func with<T>(
    _ configuration: ClientConfiguration, answerSeconds: Int = 60,
    _ body: (BatonClient) async throws -> T
  ) async throws -> T {
    var settings = HTTPClient.Configuration(redirectConfiguration: .disallow)
    settings.timeout.connect = .seconds(5)
    // Otherwise a refused connection is tried again until the deadline, and a person waits a minute to hear of it.
    settings.connectionPool.retryConnectionEstablishment = false
    settings.httpVersion = .http1Only
    let http = HTTPClient(eventLoopGroupProvider: .singleton, configuration: settings)
    // Three signs of life that did not come.
    settings.timeout.read = .seconds(45)
    let streaming = HTTPClient(eventLoopGroupProvider: .singleton, configuration: settings)
    let client = BatonClient(configuration, http: http, streaming: streaming, answerSeconds: answerSeconds)
    let result: T
    do {
      result = try await body(client)
    } catch {
      try await streaming.shutdown()
      try await http.shutdown()
      throw error
    }
    try await streaming.shutdown()
    try await http.shutdown()
    return result
  }
}

/// A request, before it is sent.
struct Call: Sendable {
  var method: HTTPMethod
  var path: [String]
  var query: [(String, String)] = []
  var body: Content = .none
  /// Whether making it twice means the same as once.
  var isRepeatable: Bool
  /// How long an answer may take that reads or removes much; nil as long as any other.
  var answerSeconds: Int?

  enum Content: Sendable {
    case none
    case json(Data)
    case file(path: String, size: Int64, @Sendable (Int) -> Void)
  }

  static func get(_ path: String..., query: [(String, String?)] = [], answerSeconds: Int? = nil) -> Call {
    Call(
      method: .GET, path: path, query: query.compactMap { name, value in value.map { (name, $0) } }, isRepeatable: true,
      answerSeconds: answerSeconds)
  }

  static func post(
    _ path: String..., query: [(String, String?)] = [], json: (any Encodable & Sendable)? = nil,
    isRepeatable: Bool = false, answerSeconds: Int? = nil
  ) throws -> Call {
    Call(
      method: .POST, path: path, query: query.compactMap { name, value in value.map { (name, $0) } },
      body: try json.map { .json(try JSONEncoder().encode($0)) } ?? .none, isRepeatable: isRepeatable,
      answerSeconds: answerSeconds)
  }

  static func delete(_ path: String..., json: (any Encodable & Sendable)? = nil) throws -> Call {
    Call(
      method: .DELETE, path: path, body: try json.map { .json(try JSONEncoder().encode($0)) } ?? .none,
      isRepeatable: false)
  }

  /// `GET /jobs/17`, for messages.
  var title: String { "\(method.rawValue) /\(path.joined(separator: "/"))" }

  /// Path and query below the API's root, escaped.
  var target: String {
    let parts = path.map { "/" + Self.escaped($0) }.joined()
    let pairs = query.map { Self.escaped($0.0) + "=" + Self.escaped($0.1) }
    return parts + (pairs.isEmpty ? "" : "?" + pairs.joined(separator: "&"))
  }

  private static func escaped(_ text: String) -> String {
    var allowed = CharacterSet(charactersIn: "a"..."z")
    allowed.insert(charactersIn: "A"..."Z")
    allowed.insert(charactersIn: "0"..."9")
    allowed.insert(charactersIn: "-._~")
    return text.addingPercentEncoding(withAllowedCharacters: allowed) ?? text
  }
}

extension BatonClient {
  /// Reads what the server writes, values that are no numbers too.
  static func decoder() -> JSONDecoder {
    let decoder = JSONDecoder()
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: NonNumber.infinity, negativeInfinity: NonNumber.minusInfinity, nan: NonNumber.nan)
    return decoder
  }

  /// Sends `call` and reads its answer as `Answer`.
  func answer<Answer: Decodable & Sendable>(_ call: Call, as type: Answer.Type = Answer.self) async throws -> Answer {
    let (status, body) = try await repeating(call) {
      try await self.withTimeLimit(call) {
        let response = try await self.send(call, by: self.http)
        return (Int(response.status.code), try await self.collect(response, call))
      }
    }
    do {
      return try Self.decoder().decode(Answer.self, from: body)
    } catch {
      throw ClientFailure.badAnswer(request: call.title, status: status, reason: "it does not read as \(Answer.self)")
    }
  }

  /// Sends `call` and hands out its answer as it comes, without a limit on how long that may last.
  func stream(_ call: Call) async throws -> ByteChunks {
    let response = try await repeating(call) { try await self.send(call, by: self.streaming) }
    return ByteChunks(body: response.body, request: call.title)
  }

  /// Makes `call` up to three times where it may be and the connection fails.
  private func repeating<T: Sendable>(_ call: Call, _ body: () async throws -> T) async throws -> T {
    for pauseMilliseconds in [200, 800] where call.isRepeatable {
      do {
        return try await body()
      } catch let failure as ClientFailure {
        switch failure {
        case .unreachable, .interrupted: break
        default: throw failure
        }
      }
      try await Task.sleep(for: .milliseconds(pauseMilliseconds))
    }
    return try await body()
  }

  private func withTimeLimit<T: Sendable>(
    _ call: Call, _ body: @escaping @Sendable () async throws -> T
  ) async throws -> T {
    var seconds = call.answerSeconds ?? answerSeconds
    // Sending a large file takes its time: 1 MiB a second is the least that a usable link does.
    if case .file(_, let size, _) = call.body { seconds += Int(size >> 20) }
    let limit = seconds
    return try await withThrowingTaskGroup(of: T.self) { group in
      group.addTask { try await body() }
      group.addTask {
        try await Task.sleep(for: .seconds(limit))
        throw ClientFailure.timedOut(url: self.url, request: call.title, afterSeconds: limit)
      }
      defer { group.cancelAll() }
      guard let first = try await group.next() else { throw CancellationError() }
      return first
    }
  }

  /// Sends `call`; returns once the head of an answer below 400 is there.
  private func send(_ call: Call, by http: HTTPClient) async throws -> HTTPClientResponse {
    var request = HTTPClientRequest(url: url + API.root + call.target)
    request.method = call.method
    request.headers.add(
      name: "accept", value: "application/json, text/event-stream, text/plain, application/octet-stream")
    request.headers.add(name: "user-agent", value: "baton")
    if let token { request.headers.add(name: "authorization", value: "Bearer \(token)") }
    switch call.body {
    case .none: break
    case .json(let data):
      request.headers.add(name: "content-type", value: "application/json")
      request.body = .bytes(ByteBuffer(data: data))
    case .file(let path, let size, let progress):
      request.headers.add(name: "content-type", value: "application/octet-stream")
      request.body = .stream(FileChunks(path: path, progress: progress), length: .known(size))
    }
    let response: HTTPClientResponse
    do {
      var limit = Int64(call.answerSeconds ?? answerSeconds)
      if case .file(_, let size, _) = call.body { limit += size >> 20 }
      response = try await http.execute(request, timeout: .seconds(limit))
    } catch let failure as ClientFailure {
      throw failure
    } catch {
      try Task.checkCancellation()
      if let error = error as? HTTPClientError, error == .deadlineExceeded {
        throw ClientFailure.timedOut(
          url: url, request: call.title, afterSeconds: call.answerSeconds ?? answerSeconds)
      }
      throw ClientFailure.unreachable(url: url, reason: TransportReason.text(of: error))
    }
    guard response.status.code < 400 else { throw try await refusal(response, call) }
    guard response.status.code < 300 else {
      throw ClientFailure.badAnswer(
        request: call.title, status: Int(response.status.code), reason: "a redirection, which Baton never answers with")
    }
    return response
  }

  private func refusal(_ response: HTTPClientResponse, _ call: Call) async throws -> ClientFailure {
    let status = Int(response.status.code)
    let body = try await collect(response, call)
    do {
      let failure = try JSONDecoder().decode(APIFailure.self, from: body)
      return .refused(failure, status: status, request: call.title)
    } catch {
      return .badAnswer(request: call.title, status: status, reason: "its body is no APIFailure")
    }
  }

  /// The whole body; 256 MiB at most, which a series of millions of points stays below.
  private func collect(_ response: HTTPClientResponse, _ call: Call) async throws -> Data {
    do {
      return Data(buffer: try await response.body.collect(upTo: 256 << 20))
    } catch {
      try Task.checkCancellation()
      throw ClientFailure.interrupted(request: call.title, reason: TransportReason.text(of: error))
    }
  }
}
