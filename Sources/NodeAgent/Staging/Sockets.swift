import CLinux
import Domain
import Glibc
import ObjectStorage

/// A TCP connection whose calls block up to a moment.
final class Connection: Sendable {
  private let raw: Int32
  let peer: String

  /// Takes over a connected socket.
  init(owning raw: Int32, peer: String) {
    self.raw = raw
    self.peer = peer
    var one: Int32 = 1
    setsockopt(raw, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
    _ = fcntl(raw, F_SETFL, fcntl(raw, F_GETFL) | O_NONBLOCK)
  }

  deinit { Glibc.close(raw) }

  /// Connects to a host, by name or number.
  static func open(_ host: String, port: Int, until limit: BootInstant) throws(SystemError) -> Connection {
    var last = SystemError("cannot resolve", host, errno: EHOSTUNREACH)
    for address in SocketAddresses.resolve(host, port: port, isPassive: false) {
      let raw = socket(address.family, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0)
      guard raw >= 0 else { throw SystemError("cannot make", "a socket", errno: errno) }
      let connection = Connection(owning: raw, peer: "\(host):\(port)")
      if address.withPointer({ connect(raw, $0, $1) }) == 0 { return connection }
      guard errno == EINPROGRESS else {
        last = SystemError("cannot connect to", "\(host):\(port)", errno: errno)
        continue
      }
      try connection.wait(Int16(POLLOUT), until: limit)
      var code: Int32 = 0
      var size = socklen_t(MemoryLayout<Int32>.size)
      getsockopt(raw, SOL_SOCKET, SO_ERROR, &code, &size)
      if code == 0 { return connection }
      last = SystemError("cannot connect to", "\(host):\(port)", errno: code)
    }
    throw last
  }

  /// Sends all of `bytes`.
  func send(_ bytes: [UInt8], until limit: BootInstant) throws(SystemError) {
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes { buffer -> Int in
        guard let base = buffer.baseAddress else { return 0 }
        return Glibc.send(raw, base + done, buffer.count - done, Int32(MSG_NOSIGNAL))
      }
      if count >= 0 {
        done += count
      } else if errno == EAGAIN {
        try wait(Int16(POLLOUT), until: limit)
      } else if errno != EINTR {
        throw SystemError("cannot send to", peer, errno: errno)
      }
    }
  }

  /// Receives exactly `count` bytes.
  func receive(_ count: Int, until limit: BootInstant) throws(SystemError) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count)
    while bytes.count < count {
      let missing = count - bytes.count
      var failure: Int32 = 0
      let chunk = [UInt8](unsafeUninitializedCapacity: min(missing, 1 << 20)) { buffer, size in
        let got = recv(raw, buffer.baseAddress, buffer.count, 0)
        failure = got < 0 ? errno : 0
        size = max(0, got)
      }
      if !chunk.isEmpty {
        bytes += chunk
      } else if failure == EAGAIN {
        try wait(Int16(POLLIN), until: limit)
      } else if failure != EINTR {
        throw SystemError("cannot receive from", peer, errno: failure == 0 ? ECONNRESET : failure)
      }
    }
    return bytes
  }

  /// Whether the other side has gone, or said something unasked.
  var isSpent: Bool {
    var entry = pollfd(fd: raw, events: Int16(POLLIN), revents: 0)
    return poll(&entry, 1, 0) != 0
  }

  /// Ends all calls that wait, in other threads too.
  func hangUp() { shutdown(raw, Int32(SHUT_RDWR)) }

  private func wait(_ events: Int16, until limit: BootInstant) throws(SystemError) {
    while true {
      let left = (limit - .now()).microseconds / 1000
      guard left > 0 else { throw SystemError("no answer in time from", peer, errno: ETIMEDOUT) }
      var entry = pollfd(fd: raw, events: events, revents: 0)
      let count = poll(&entry, 1, Int32(min(left + 1, 1 << 30)))
      if count > 0 { return }
      if count < 0, errno != EINTR { throw SystemError("cannot wait for", peer, errno: errno) }
    }
  }
}

/// A socket that is listened on.
final class Listener: Sendable {
  private let raw: Int32
  let port: Int

  /// Listens at `host` where that is an address of this machine, else at all of them.
  init(host: String) throws(SystemError) {
    var last = SystemError("cannot listen at", host, errno: EADDRNOTAVAIL)
    for place in [host, "::", "0.0.0.0"] {
      for address in SocketAddresses.resolve(place, port: 0, isPassive: true) {
        let raw = socket(address.family, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0)
        guard raw >= 0 else { continue }
        var zero: Int32 = 0
        if address.family == AF_INET6 {
          setsockopt(raw, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &zero, socklen_t(MemoryLayout<Int32>.size))
        }
        if address.withPointer({ bind(raw, $0, $1) }) == 0, listen(raw, 64) == 0,
          let port = SocketAddresses.port(of: raw)
        {
          self.raw = raw
          self.port = port
          return
        }
        last = SystemError("cannot listen at", place, errno: errno)
        Glibc.close(raw)
      }
    }
    throw last
  }

  deinit { Glibc.close(raw) }

  /// The next connection; nil once it was closed.
  func accept() -> Connection? {
    while true {
      let raw = accept4(self.raw, nil, nil, O_CLOEXEC)
      if raw >= 0 { return Connection(owning: raw, peer: "a peer") }
      guard errno == EINTR || errno == ECONNABORTED else { return nil }
    }
  }

  /// Ends `accept`.
  func close() { shutdown(raw, Int32(SHUT_RDWR)) }
}

/// Addresses of a host.
enum SocketAddresses {
  struct Address {
    var family: Int32
    private var storage: [UInt8]

    fileprivate init(family: Int32, storage: [UInt8]) {
      self.family = family
      self.storage = storage
    }

    func withPointer<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
      var copy = sockaddr_storage()
      withUnsafeMutableBytes(of: &copy) { $0.copyBytes(from: storage) }
      return withUnsafePointer(to: &copy) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(storage.count)) }
      }
    }
  }

  static func resolve(_ host: String, port: Int, isPassive: Bool) -> [Address] {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_flags = AI_NUMERICSERV | (isPassive ? AI_PASSIVE : 0)
    var list: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(host, "\(port)", &hints, &list) == 0 else { return [] }
    defer { freeaddrinfo(list) }
    var found: [Address] = []
    var entry = list
    while let one = entry?.pointee {
      let size = Int(one.ai_addrlen)
      if let address = one.ai_addr, size <= MemoryLayout<sockaddr_storage>.size {
        found.append(
          Address(family: one.ai_family, storage: Array(UnsafeRawBufferPointer(start: address, count: size))))
      }
      entry = one.ai_next
    }
    return found
  }

  static func port(of raw: Int32) -> Int? {
    var storage = sockaddr_storage()
    var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let code = withUnsafeMutablePointer(to: &storage) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(raw, $0, &size) }
    }
    guard code == 0 else { return nil }
    // The port is at the same place in both families.
    return withUnsafeBytes(of: &storage) { Int($0[2]) << 8 | Int($0[3]) }
  }
}
