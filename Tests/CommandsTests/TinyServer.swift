import Foundation
import Glibc
import Synchronization

/// A server on a port of its own that answers each connection with the next of its scripted answers.
///
/// It speaks just enough HTTP to test a client: one request a connection, read to the end of its body.
final class TinyServer: Sendable {
  /// What a connection gets.
  enum Answer: Sendable {
    /// A status, and a body in these pieces.
    case body(Int, [String])
    /// As `body`, but the connection breaks before the announced end.
    case cut(Int, String)
    /// The connection is closed without a word.
    case nothing
  }

  /// One request as it came.
  struct Request: Sendable {
    var line: String
    var headers: String
    var body: [UInt8]
  }

  private struct State {
    var answers: [Answer]
    var requests: [Request] = []
  }

  let port: Int
  private let listener: Int32
  private let state: Mutex<State>

  /// What was asked so far.
  var requests: [Request] { state.withLock { $0.requests } }

  init(_ answers: [Answer]) throws {
    state = Mutex(State(answers: answers))
    listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = in_addr_t(INADDR_LOOPBACK).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let descriptor = listener
    let port: Int? = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
        guard bind(descriptor, generic, length) == 0, listen(descriptor, 16) == 0,
          getsockname(descriptor, generic, &length) == 0
        else { return nil }
        return Int(UInt16(bigEndian: pointer.pointee.sin_port))
      }
    }
    guard let port else { throw POSIXError(.EADDRNOTAVAIL) }
    self.port = port
    Thread.detachNewThread { [self] in serve() }
  }

  var url: String { "http://127.0.0.1:\(port)" }

  /// Ends the listening thread; later connections are refused.
  func stop() { shutdown(listener, Int32(SHUT_RDWR)) }

  private func serve() {
    while true {
      let connection = accept(listener, nil, nil)
      guard connection >= 0 else { break }
      if let request = read(connection) {
        let answer = state.withLock { state in
          state.requests.append(request)
          return state.answers.isEmpty ? .nothing : state.answers.removeFirst()
        }
        send(answer, connection)
        // Who has been answered closes: a client that is cut off while it still puts its request away calls it broken.
        if case .body = answer { waitUntilClosed(connection) }
      }
      close(connection)
    }
    close(listener)
  }

  private func waitUntilClosed(_ connection: Int32) {
    var limit = timeval(tv_sec: 5, tv_usec: 0)
    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    var byte: UInt8 = 0
    while recv(connection, &byte, 1, 0) > 0 {}
  }

  private func read(_ connection: Int32) -> Request? {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while true {
      let text = String(decoding: bytes, as: UTF8.self)
      if let end = text.range(of: "\r\n\r\n") {
        let head = String(text[..<end.lowerBound])
        let body = Array(text[end.upperBound...].utf8)
        let wanted = head.lowercased().split(separator: "\r\n").first { $0.hasPrefix("content-length:") }
          .flatMap { Int($0.dropFirst(15).trimmingCharacters(in: .whitespaces)) }
        if body.count >= wanted ?? 0 {
          let line = head.split(separator: "\r\n").first.map(String.init) ?? ""
          return Request(line: line, headers: head, body: body)
        }
      }
      let count = recv(connection, &chunk, chunk.count, 0)
      guard count > 0 else { return nil }
      bytes += chunk[..<count]
    }
  }

  private func send(_ answer: Answer, _ connection: Int32) {
    switch answer {
    case .nothing:
      return
    case .cut(let status, let body):
      put("HTTP/1.1 \(status) X\r\ncontent-length: \(body.utf8.count + 100)\r\n\r\n\(body)", connection)
    case .body(let status, let pieces):
      put("HTTP/1.1 \(status) X\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n", connection)
      for piece in pieces { put("\(String(piece.utf8.count, radix: 16))\r\n\(piece)\r\n", connection) }
      put("0\r\n\r\n", connection)
    }
  }

  private func put(_ text: String, _ connection: Int32) {
    let bytes = Array(text.utf8)
    _ = Glibc.send(connection, bytes, bytes.count, Int32(MSG_NOSIGNAL))
  }
}
