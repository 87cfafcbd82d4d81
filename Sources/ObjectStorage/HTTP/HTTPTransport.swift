import AsyncHTTPClient
import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// How long a store may keep a request waiting.
public struct HTTPPatience: Hashable, Sendable {
  /// For a connection, TLS among it.
  public var connectSeconds: Double
  /// For the first byte of an answer, and for the next byte in either direction.
  public var silenceSeconds: Double

  /// Patience; what is not said suits a store on a network that is slow today.
  public init(connectSeconds: Double = 5, silenceSeconds: Double = 60) {
    self.connectSeconds = connectSeconds
    self.silenceSeconds = silenceSeconds
  }
}

/// Why there was no whole answer.
struct TransportFailure: Error {
  /// For people: as in `connection refused`.
  var reason: String
}

/// Sends requests and reads answers; knows nothing of stores.
struct HTTPTransport: Sendable {
  private let client: HTTPClient

  init(_ patience: HTTPPatience) { client = Self.client(patience) }

  /// Connections are shared by all stores of a process with the same patience, and live as long as it does.
  private static let clients = Mutex<[HTTPPatience: HTTPClient]>([:])

  private static func client(_ patience: HTTPPatience) -> HTTPClient {
    clients.withLock { clients in
      if let known = clients[patience] { return known }
      var settings = HTTPClient.Configuration(redirectConfiguration: .disallow)
      settings.timeout.connect = .milliseconds(Int64(patience.connectSeconds * 1000))
      settings.timeout.read = .milliseconds(Int64(patience.silenceSeconds * 1000))
      settings.timeout.write = .milliseconds(Int64(patience.silenceSeconds * 1000))
      settings.connectionPool.retryConnectionEstablishment = false
      // Requests that wait for a free connection longer than `connect` fail: there are to be enough of them.
      settings.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 64
      // A server may close an idle connection at any moment; this asks for less of that than a minute would.
      settings.connectionPool.idleTimeout = .seconds(20)
      settings.httpVersion = .http1Only
      let made = HTTPClient(eventLoopGroupProvider: .singleton, configuration: settings)
      clients[patience] = made
      return made
    }
  }

  /// Sends `call`; returns once the head of the answer is there.
  func begin(_ call: HTTPCall) async throws -> HTTPClientResponse {
    var request = HTTPClientRequest(url: call.url)
    request.method = HTTPMethod(rawValue: call.method)
    for (name, value) in call.headers where name != "host" { request.headers.add(name: name, value: value) }
    request.headers.add(name: "user-agent", value: "baton")
    switch call.body {
    case .none: break
    case .bytes(let bytes): request.body = .bytes(ByteBuffer(bytes: bytes))
    case .file(let path):
      request.body = .stream(FilePieces(path: path, range: 0..<call.content.size), length: .known(call.content.size))
    case .slice(let path, let range), .hashed(let path, let range, _):
      request.body = .stream(FilePieces(path: path, range: range), length: .known(call.content.size))
    }
    do {
      return try await client.execute(request, deadline: .distantFuture)
    } catch {
      throw try Self.failure(error)
    }
  }

  /// Sends `call` and reads the answer to its end; a body longer than `limit` is a failure.
  func answer(_ call: HTTPCall, limit: Int) async throws -> HTTPAnswer {
    try await Self.finish(try await begin(call), limit: limit)
  }

  /// Reads the rest of an answer.
  static func finish(_ response: HTTPClientResponse, limit: Int) async throws -> HTTPAnswer {
    var body: [UInt8] = []
    do {
      for try await piece in response.body {
        body.append(contentsOf: piece.readableBytesView)
        if body.count > limit { throw TransportFailure(reason: "the answer is longer than \(limit) bytes") }
      }
    } catch {
      throw try failure(error)
    }
    return HTTPAnswer(status: Int(response.status.code), headers: headers(response), body: body)
  }

  /// Names in lower case; of several values of a name the first.
  static func headers(_ response: HTTPClientResponse) -> [String: String] {
    var found: [String: String] = [:]
    for header in response.headers {
      let name = header.name.lowercased()
      if found[name] == nil { found[name] = header.value }
    }
    return found
  }

  /// What a thrown error means; rethrows cancellation and what is nobody's network.
  static func failure(_ error: any Error) throws -> TransportFailure {
    try Task.checkCancellation()
    switch error {
    case let error as TransportFailure: return error
    case let error as ObjectStoreError: throw error
    case let error as CancellationError: throw error
    case let error as HTTPClientError: return TransportFailure(reason: error.shortDescription)
    case let error as NIOConnectionError:
      let causes = error.connectionErrors.map { "\($0.error)" }
      return TransportFailure(reason: causes.first ?? "cannot resolve \(error.host)")
    case let error as IOError: return TransportFailure(reason: String(cString: strerror(error.errnoCode)))
    default: return TransportFailure(reason: "\(error)")
    }
  }
}

/// A stretch of a file in pieces of 512 KiB, read on threads that may wait.
private struct FilePieces: AsyncSequence, Sendable {
  typealias Element = ByteBuffer

  let path: String
  let range: Range<Int64>

  static let pool = BlockingPool(label: "baton.uploads", width: 8)

  struct AsyncIterator: AsyncIteratorProtocol {
    let file: ReadableFile
    var rest: Range<Int64>

    mutating func next() async throws -> ByteBuffer? {
      guard !rest.isEmpty else { return nil }
      let (file, offset, limit) = (file, rest.lowerBound, Int(Swift.min(512 << 10, Int64(rest.count))))
      let piece = try await FilePieces.pool.run { () throws(ObjectStoreError) in try file.read(at: offset, limit: limit)
      }
      rest = (rest.lowerBound + Int64(piece.count))..<rest.upperBound
      return ByteBuffer(bytes: piece)
    }
  }

  func makeAsyncIterator() -> AsyncIterator { AsyncIterator(file: ReadableFile(path), rest: range) }
}

/// A file that is opened when it is first read, and closed with its last reference.
private final class ReadableFile: Sendable {
  private let path: String
  private let raw: Int32

  init(_ path: String) {
    self.path = path
    raw = open(path, O_RDONLY | O_CLOEXEC)
  }

  deinit { if raw >= 0 { close(raw) } }

  func read(at offset: Int64, limit: Int) throws(ObjectStoreError) -> [UInt8] {
    guard raw >= 0 else { throw ObjectStoreError(.sourceUnreadable, key: "", reason: "cannot open \(path)") }
    var failure: Int32 = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
      let got = pread(raw, buffer.baseAddress, limit, Int(offset))
      failure = got < 0 ? errno : 0
      count = Swift.max(0, got)
    }
    if bytes.isEmpty {
      let reason = failure != 0 ? String(cString: strerror(failure)) : "it became shorter while it was sent"
      throw ObjectStoreError(.sourceUnreadable, key: "", reason: "\(path): \(reason)")
    }
    return bytes
  }
}
