import Foundation
import Glibc
import Synchronization

/// Stands between a client and a real server, and does what networks and servers do on bad days.
///
/// One request a connection, each on a thread of its own: what it reads, it forwards unchanged but for
/// `Connection: close`, so that signatures stay good.
public final class FaultProxy: Sendable {
  /// What goes wrong; `times` counts the requests that are met.
  public enum Fault: Hashable, Sendable {
    /// Nothing.
    case none
    /// Answers itself.
    case answer(status: Int, headers: [String], body: String, times: Int)
    /// Closes the connection before anything is read.
    case reset(times: Int)
    /// Reads the request and says nothing.
    case hang(times: Int)
    /// Lets the server do it, and loses its answer.
    case lose(times: Int)
    /// Ends the connection after so many bytes of the answer's body.
    case cut(after: Int, times: Int)
    /// Ends the body there, and says that this was all.
    case shorten(to: Int, times: Int)
    /// Changes one byte of the answer's body.
    case flip(at: Int, times: Int)
    /// Says another version than the object is.
    case otherTag
    /// Shows a clock that is wrong by an hour.
    case otherDate
    /// Says, in S3's words, that the client's clock is wrong, and shows one of the year 2000.
    case skewed(times: Int)
    /// Refuses the first token that is seen, for ever.
    case revokedToken
  }

  private struct State {
    var fault = Fault.none
    var methods: Set<String> = []
    var name = ""
    var waiting: [(seen: Int, CheckedContinuation<Void, Never>)] = []
    var met = 0
    var seen = 0
    var served = 0
    var logins = 0
    var token: String?
    var isClosed = false
    var held: [Int32] = []
  }

  /// Where it listens: `http://HOST:PORT`.
  public let address: String
  private let listener: Int32
  private let upstream: UInt16
  private let mark: String
  private let state = Mutex(State())

  /// Listens on a free port and forwards to `server`, `http://127.0.0.1:PORT`.
  ///
  /// - Parameters:
  ///   - mark: faults meet only requests with this in their path, such as the name of a container.
  ///   - host: the address to listen on; one that the machine does not have yet is reached once it has it.
  public init(to server: String, mark: String, listeningOn host: String = "127.0.0.1") throws {
    guard let port = server.split(separator: ":").last.flatMap({ UInt16($0) }) else {
      throw OpenStackFailure(reason: "no port in \(server)")
    }
    upstream = port
    self.mark = mark
    listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    var local = Self.loopback(0)
    guard inet_pton(AF_INET, host, &local.sin_addr) == 1 else { throw POSIXError(.EINVAL) }
    var isEarly: Int32 = 1
    setsockopt(listener, Int32(IPPROTO_IP), IP_FREEBIND, &isEarly, socklen_t(MemoryLayout<Int32>.size))
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let descriptor = listener
    let result = withUnsafeMutablePointer(to: &local) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
        bind(descriptor, generic, length) == 0 && listen(descriptor, 64) == 0
          ? getsockname(descriptor, generic, &length) : -1
      }
    }
    guard result == 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
    address = "http://\(host):\(UInt16(bigEndian: local.sin_port))"
    Thread.detachNewThread { [self] in accept() }
  }

  /// From now on requests by `methods` with `name` in their path meet `fault`.
  public func set(_ fault: Fault, on methods: Set<String>, naming name: String = "") {
    state.withLock {
      $0.fault = fault
      $0.methods = methods
      $0.name = name
      $0.met = 0
      $0.seen = 0
      $0.served = 0
      $0.token = nil
    }
  }

  /// Requests by the methods of the last fault that came since.
  public var seen: Int { state.withLock { $0.seen } }

  /// Bytes of the answers' bodies that the server had for those, but for what a fault took away.
  public var served: Int { state.withLock { $0.served } }

  /// Waits until so many of them came; throws `CancellationError`.
  public func met(_ count: Int) async throws {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let isOver = state.withLock { state in
          if state.seen >= count || Task.isCancelled { return true }
          state.waiting.append((count, continuation))
          return false
        }
        if isOver { continuation.resume() }
      }
    } onCancel: {
      let waiting = state.withLock { state in
        defer { state.waiting = [] }
        return state.waiting
      }
      for one in waiting { one.1.resume() }
    }
    if seen < count { throw CancellationError() }
  }

  /// Tokens that were asked for.
  public var logins: Int { state.withLock { $0.logins } }

  /// Ends the connections that hang, as a server does that is started again.
  public func letGo() {
    let held = state.withLock { state in
      defer { state.held = [] }
      return state.held
    }
    for client in held { Glibc.close(client) }
  }

  /// Refuses connections from now on, and lets those go that hang.
  public func close() {
    let isFirst = state.withLock { state in
      defer { state.isClosed = true }
      return !state.isClosed
    }
    guard isFirst else { return }
    shutdown(listener, Int32(SHUT_RDWR))
    letGo()
  }

  private func accept() {
    while true {
      let client = Glibc.accept(listener, nil, nil)
      if client < 0 {
        if errno == EINTR || errno == ECONNABORTED { continue }
        Glibc.close(listener)
        return
      }
      _ = fcntl(client, F_SETFD, FD_CLOEXEC)
      Thread.detachNewThread { [self] in serve(client) }
    }
  }

  private func serve(_ client: Int32) {
    guard var request = Message(reading: client) else {
      Glibc.close(client)
      return
    }
    let (fault, counts) = meet(request)
    switch fault {
    case .reset:
      var linger = linger(l_onoff: 1, l_linger: 0)
      setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
      Glibc.close(client)
      return
    case .hang:
      state.withLock { $0.held.append(client) }
      return
    case .answer(let status, let headers, let body, _):
      let head = (["HTTP/1.1 \(status) Fault", "Content-Length: \(body.utf8.count)", "Connection: close"] + headers)
      send(client, Array((head.joined(separator: "\r\n") + "\r\n\r\n" + body).utf8))
    default:
      request.finishBody(from: client)
      if var answer = forward(request) {
        damage(&answer, fault)
        if counts { state.withLock { $0.served += answer.body.count } }
        if case .lose = fault {} else { send(client, answer.bytes) }
      }
    }
    Glibc.close(client)
  }

  /// The fault that this request meets, and whether it is of those that are counted.
  private func meet(_ request: Message) -> (fault: Fault, counts: Bool) {
    state.withLock { state in
      if request.path.hasPrefix("/auth/") { state.logins += 1 }
      let isData = request.path.contains(mark) && (state.name.isEmpty || request.path.contains(state.name))
      guard isData, state.methods.contains(request.method) else { return (.none, false) }
      state.seen += 1
      for waiting in state.waiting where waiting.seen <= state.seen { waiting.1.resume() }
      state.waiting.removeAll { $0.seen <= state.seen }
      let times: Int
      switch state.fault {
      case .none, .otherTag, .otherDate: return (state.fault, true)
      case .revokedToken:
        let token = request.header("x-auth-token")
        if state.token == nil { state.token = token }
        let isRefused = token == state.token
        return (isRefused ? .answer(status: 401, headers: [], body: "revoked", times: 1) : .none, true)
      case .answer(_, _, _, let count), .reset(let count), .hang(let count), .lose(let count), .cut(_, let count),
        .shorten(_, let count), .flip(_, let count), .skewed(let count):
        times = count
      }
      guard state.met < times else { return (.none, true) }
      state.met += 1
      guard case .skewed = state.fault else { return (state.fault, true) }
      let refusal = Fault.answer(
        status: 403, headers: ["Date: Sat, 01 Jan 2000 00:00:00 GMT"],
        body: "<Error><Code>RequestTimeTooSkewed</Code><Message>no</Message></Error>", times: times)
      return (refusal, true)
    }
  }

  private func forward(_ request: Message) -> Message? {
    let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    defer { Glibc.close(server) }
    var remote = Self.loopback(upstream)
    let result = withUnsafeMutablePointer(to: &remote) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(server, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard result == 0 else { return nil }
    var request = request
    request.set("Connection", "close")
    send(server, request.bytes)
    guard var answer = Message(reading: server) else { return nil }
    answer.readToEnd(from: server)
    answer.set("Connection", "close")
    return answer
  }

  private func damage(_ answer: inout Message, _ fault: Fault) {
    switch fault {
    case .cut(let length, _): answer.body = Array(answer.body.prefix(length))
    case .shorten(let length, _):
      answer.body = Array(answer.body.prefix(length))
      answer.set("Content-Length", "\(answer.body.count)")
    case .flip(let index, _): if index < answer.body.count { answer.body[index] ^= 1 }
    case .otherTag: answer.set("ETag", "\"0123456789abcdef0123456789abcdef\"")
    case .otherDate: answer.set("Date", "Sat, 01 Jan 2000 00:00:00 GMT")
    default: break
    }
  }

  private func send(_ descriptor: Int32, _ bytes: [UInt8]) {
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes { buffer in
        Glibc.send(descriptor, buffer.baseAddress.map { $0 + done }, bytes.count - done, Int32(MSG_NOSIGNAL))
      }
      if count < 0, errno == EINTR { continue }
      if count <= 0 { return }
      done += count
    }
  }

  private static func loopback(_ port: UInt16) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    return address
  }
}

/// A request or an answer: first line, headers, and as much of the body as was read.
private struct Message {
  var lines: [String]
  var body: [UInt8]

  init?(reading descriptor: Int32) {
    var bytes: [UInt8] = []
    while true {
      if let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) {
        let head = String(decoding: bytes[..<end.lowerBound], as: UTF8.self)
        lines = head.split(separator: "\r\n").map(String.init)
        body = Array(bytes[end.upperBound...])
        return
      }
      guard Self.append(from: descriptor, to: &bytes) else { return nil }
    }
  }

  var method: String { lines.first?.split(separator: " ").first.map(String.init) ?? "" }
  var path: String { lines.first?.split(separator: " ").dropFirst().first.map(String.init) ?? "" }
  var bytes: [UInt8] { Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8) + body }

  func header(_ name: String) -> String? {
    lines.first { $0.lowercased().hasPrefix("\(name):") }
      .map { $0.dropFirst(name.count + 1).trimmingCharacters(in: .whitespaces) }
  }

  mutating func set(_ name: String, _ value: String) {
    lines.removeAll { $0.lowercased().hasPrefix("\(name.lowercased()):") }
    lines.append("\(name): \(value)")
  }

  mutating func finishBody(from descriptor: Int32) {
    let length = header("content-length").flatMap { Int($0) } ?? 0
    while body.count < length, Self.append(from: descriptor, to: &body) {}
  }

  mutating func readToEnd(from descriptor: Int32) {
    while Self.append(from: descriptor, to: &body) {}
  }

  private static func append(from descriptor: Int32, to bytes: inout [UInt8]) -> Bool {
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = recv(descriptor, &buffer, buffer.count, 0)
      if count < 0, errno == EINTR { continue }
      if count <= 0 { return false }
      bytes += buffer[..<count]
      return true
    }
  }
}
