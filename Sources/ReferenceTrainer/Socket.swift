import Glibc

/// A TCP socket that never blocks by itself and is closed with the object.
///
/// Used from one thread.
final class Socket {
  let descriptor: Int32

  private init(_ descriptor: Int32) {
    self.descriptor = descriptor
  }

  deinit {
    close(descriptor)
  }

  /// A numeric address and a port.
  struct Address: Codable, Equatable, Sendable {
    var host: String
    var port: UInt16
  }

  /// Why a socket could not do it; `number` is an `errno`.
  struct Failure: Error {
    let number: Int32
    /// The name of the host means nothing here, in the resolver's words.
    var unresolved: String?

    var description: String {
      unresolved ?? systemMessage(number)
    }
  }

  /// Listens at `address`; port 0 picks a free one.
  ///
  /// `localAddress` tells which.
  static func listen(at address: Address) throws(Failure) -> Socket {
    try firstUsable(address, passive: true) { (socket, info) throws(Failure) in
      var yes: Int32 = 1
      setsockopt(socket.descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
      guard bind(socket.descriptor, info.ai_addr, info.ai_addrlen) == 0 else { throw Failure(number: errno) }
      guard Glibc.listen(socket.descriptor, 128) == 0 else { throw Failure(number: errno) }
    }
  }

  /// Starts to connect; `finishConnecting` tells how it went once the socket can be written to.
  static func connect(to address: Address) throws(Failure) -> Socket {
    try firstUsable(address, passive: false) { (socket, info) throws(Failure) in
      socket.sendAtOnce()
      guard Glibc.connect(socket.descriptor, info.ai_addr, info.ai_addrlen) == 0 || errno == EINPROGRESS else {
        throw Failure(number: errno)
      }
    }
  }

  /// Throws what became of a connection that was under way.
  func finishConnecting() throws(Failure) {
    var number: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    guard getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &number, &size) == 0 else { throw Failure(number: errno) }
    guard number == 0 else { throw Failure(number: number) }
  }

  /// The next caller, or nil if nobody waits.
  func accept() throws(Failure) -> Socket? {
    let caller = Glibc.accept(descriptor, nil, nil)
    if caller >= 0 {
      let socket = Socket(caller)
      guard fcntl(caller, F_SETFD, FD_CLOEXEC) == 0, fcntl(caller, F_SETFL, O_NONBLOCK) == 0 else {
        throw Failure(number: errno)
      }
      socket.sendAtOnce()
      return socket
    }
    // A caller that gave up in between is no failure of ours.
    guard [EAGAIN, EINTR, ECONNABORTED].contains(errno) else { throw Failure(number: errno) }
    return nil
  }

  /// Sends some of `bytes`; 0 when the peer cannot take any now.
  func send(_ bytes: UnsafeRawBufferPointer) throws(Failure) -> Int {
    let sent = Glibc.send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
    if sent >= 0 { return sent }
    guard errno == EAGAIN || errno == EINTR else { throw Failure(number: errno) }
    return 0
  }

  /// Receives some bytes; 0 when none are there now.
  ///
  /// The end of the stream is `ECONNRESET`.
  func receive(_ bytes: UnsafeMutableRawBufferPointer) throws(Failure) -> Int {
    let got = recv(descriptor, bytes.baseAddress, bytes.count, 0)
    if got > 0 { return got }
    if got == 0 { throw Failure(number: ECONNRESET) }
    guard errno == EAGAIN || errno == EINTR else { throw Failure(number: errno) }
    return 0
  }

  /// Our own end of the connection.
  func localAddress() throws(Failure) -> Address {
    var storage = sockaddr_storage()
    var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
    var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    var port = [CChar](repeating: 0, count: Int(NI_MAXSERV))
    let failure: Failure? = withUnsafeMutablePointer(to: &storage) { storage in
      storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        guard getsockname(descriptor, address, &size) == 0 else { return Failure(number: errno) }
        let status = getnameinfo(
          address, size, &host, socklen_t(host.count), &port, socklen_t(port.count), NI_NUMERICHOST | NI_NUMERICSERV)
        return status == 0 ? nil : Failure(number: EINVAL)
      }
    }
    if let failure { throw failure }
    let text = { (characters: [CChar]) in
      String(decoding: characters.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
    guard let number = UInt16(text(port)) else { throw Failure(number: EINVAL) }
    return Address(host: text(host), port: number)
  }

  private func sendAtOnce() {
    var yes: Int32 = 1
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
  }

  /// Tries each address the name stands for until `prepare` succeeds; throws what the last one failed with.
  private static func firstUsable(
    _ address: Address, passive: Bool, _ prepare: (Socket, addrinfo) throws(Failure) -> Void
  ) throws(Failure) -> Socket {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    // One family, so that all ranks read a name alike: a connection under way has no second address to try.
    hints.ai_family = address.host.contains(":") ? AF_INET6 : AF_INET
    hints.ai_flags = passive ? AI_PASSIVE : 0
    var list: UnsafeMutablePointer<addrinfo>?
    let status = getaddrinfo(address.host, String(address.port), &hints, &list)
    guard status == 0 else {
      throw Failure(number: EINVAL, unresolved: "\(address.host): \(String(cString: gai_strerror(status)))")
    }
    defer { freeaddrinfo(list) }
    var failure = Failure(number: EADDRNOTAVAIL)
    var entry = list
    while let info = entry?.pointee {
      entry = info.ai_next
      let flags = Int32(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
      let descriptor = Glibc.socket(info.ai_family, info.ai_socktype | flags, info.ai_protocol)
      guard descriptor >= 0 else {
        failure = Failure(number: errno)
        continue
      }
      let socket = Socket(descriptor)
      do {
        try prepare(socket, info)
        return socket
      } catch {
        failure = error
      }
    }
    throw failure
  }
}
