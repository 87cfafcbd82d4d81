import AsyncHTTPClient
import Foundation
import NIOCore
import NIOFoundationCompat

/// The bytes of an answer as they come.
///
/// Ends when the server ends it; throws `ClientFailure.interrupted` when the connection breaks. Can be iterated once.
public struct ByteChunks: AsyncSequence, Sendable {
  let body: HTTPClientResponse.Body
  let request: String

  /// Hands out the pieces.
  public struct AsyncIterator: AsyncIteratorProtocol {
    var body: HTTPClientResponse.Body.AsyncIterator
    let request: String

    /// The next piece, not empty; nil at the end.
    ///
    /// Cancelling ends it with `CancellationError`.
    public mutating func next() async throws -> [UInt8]? {
      while true {
        do {
          guard let buffer = try await body.next(isolation: #isolation) else { return nil }
          if buffer.readableBytes > 0 { return Array(buffer.readableBytesView) }
        } catch {
          try Task.checkCancellation()
          throw ClientFailure.interrupted(request: request, reason: TransportReason.text(of: error))
        }
      }
    }
  }

  /// Begins.
  public func makeAsyncIterator() -> AsyncIterator {
    AsyncIterator(body: body.makeAsyncIterator(), request: request)
  }
}

/// The values that a stream of server-sent events carries.
///
/// Ends when the server ends it; throws what `ByteChunks` throws, and `ClientFailure.badAnswer` for a value that is
/// none. Can be iterated once.
public struct EventStream<Value: Decodable & Sendable>: AsyncSequence, Sendable {
  let chunks: ByteChunks
  /// Events of other names, such as those of a newer server, are passed over.
  let name: String

  /// The same, each with the id that goes on behind it on another connection.
  public var placed: PlacedEventStream<Value> { PlacedEventStream(chunks: chunks, name: name) }

  /// Hands out the values.
  public struct AsyncIterator: AsyncIteratorProtocol {
    var events: PlacedEventStream<Value>.AsyncIterator

    /// The next value; nil at the end.
    public mutating func next() async throws -> Value? { try await events.next()?.value }
  }

  /// Begins.
  public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(events: placed.makeAsyncIterator()) }
}

/// As `EventStream`, each value with the last id that the stream named.
public struct PlacedEventStream<Value: Decodable & Sendable>: AsyncSequence, Sendable {
  let chunks: ByteChunks
  let name: String

  /// A value and the id behind it; nil where the stream has not named one.
  public struct Element: Sendable {
    /// What came.
    public var value: Value
    /// Where to go on.
    public var id: String?
  }

  /// Hands out the values.
  public struct AsyncIterator: AsyncIteratorProtocol {
    var chunks: ByteChunks.AsyncIterator
    let name: String
    var parser = ServerSentEventParser()
    var ready: ArraySlice<ServerSentEvent> = []

    /// The next value; nil at the end.
    public mutating func next() async throws -> Element? {
      while true {
        while let event = ready.popFirst() {
          guard event.name == name else { continue }
          do {
            let value = try BatonClient.decoder().decode(Value.self, from: Data(event.data.utf8))
            return Element(value: value, id: event.id)
          } catch {
            throw ClientFailure.badAnswer(
              request: chunks.request, status: 200, reason: "the event '\(name)' is not a \(Value.self)")
          }
        }
        guard let chunk = try await chunks.next() else { return nil }
        ready = parser.push(chunk)[...]
      }
    }
  }

  /// Begins.
  public func makeAsyncIterator() -> AsyncIterator {
    AsyncIterator(chunks: chunks.makeAsyncIterator(), name: name)
  }
}

/// A failure of the network as a few words.
enum TransportReason {
  static func text(of error: any Error) -> String {
    if let error = error as? HTTPClientError {
      switch error {
      case .connectTimeout: return "no answer to the attempt to connect"
      case .remoteConnectionClosed: return "the server closed the connection"
      case .deadlineExceeded: return "no answer in time"
      case .readTimeout: return "nothing came for a while"
      default: return error.description
      }
    }
    if let error = error as? IOError { return String(cString: strerror(error.errnoCode)).lowercased() }
    // A failed connection arrives wrapped in a description of every address that was tried.
    let text = String(describing: error)
    if text.contains("errno: \(ECONNREFUSED)") || text.contains("Connection refused") { return "connection refused" }
    if text.contains("UnknownHost") || text.contains("not known") { return "no such host" }
    return text
  }
}
