import Glibc

/// TCP ports of this machine's loopback addresses.
enum Ports {
  /// Below the range that the kernel gives to outgoing connections, so that none of those takes the port later.
  private static let range: ClosedRange<UInt16> = 20_000...32_000

  /// A port that is free on all `addresses` now.
  ///
  /// No other lab is given it while this process lives: what is to listen there may not do so yet, or not always.
  static func free(on addresses: [String]) throws(LabError) -> Int {
    for _ in 0..<200 {
      let port = UInt16.random(in: range)
      if addresses.allSatisfy({ isFree($0, port) }), Claims.claim("baton-port-\(port)") { return Int(port) }
    }
    throw LabError(.systemCall, "no free port from \(range.lowerBound) to \(range.upperBound) on \(addresses)")
  }

  /// The first bytes that a server says to a new connection; empty when it accepts and says nothing within
  /// `patience`, nil when nobody accepts.
  static func greeting(_ address: String, _ port: Int, patience: Duration) -> String? {
    guard let connection = connected(address, port) else { return nil }
    defer { close(connection) }
    var source = pollfd(fd: connection, events: Int16(POLLIN), revents: 0)
    let (seconds, fraction) = patience.components
    let milliseconds = Int32(clamping: seconds * 1000 + fraction / 1_000_000_000_000_000)
    guard poll(&source, 1, milliseconds) > 0 else { return "" }
    var chunk = [UInt8](repeating: 0, count: 256)
    let count = recv(connection, &chunk, chunk.count, 0)
    return count > 0 ? String(decoding: chunk[..<count], as: UTF8.self) : ""
  }

  /// Whether something listens there.
  static func accepts(_ address: String, _ port: Int) -> Bool {
    guard let connection = connected(address, port) else { return false }
    close(connection)
    return true
  }

  private static func isFree(_ address: String, _ port: UInt16) -> Bool {
    guard var place = place(address, port) else { return false }
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard listener >= 0 else { return false }
    defer { close(listener) }
    var reuse: Int32 = 1
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &reuse, socklen_t(MemoryLayout<Int32>.size))
    return withSocketAddress(&place) { bind(listener, $0, $1) == 0 }
  }

  private static func connected(_ address: String, _ port: Int) -> Int32? {
    guard var place = place(address, UInt16(clamping: port)) else { return nil }
    let connection = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard connection >= 0 else { return nil }
    // A loopback connection is made or refused at once, unless the backlog of a stopped server is full.
    var limit = timeval(tv_sec: 1, tv_usec: 0)
    setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    if withSocketAddress(&place, { connect(connection, $0, $1) == 0 }) { return connection }
    close(connection)
    return nil
  }

  private static func place(_ address: String, _ port: UInt16) -> sockaddr_in? {
    var place = sockaddr_in()
    place.sin_family = sa_family_t(AF_INET)
    place.sin_port = port.bigEndian
    return inet_pton(AF_INET, address, &place.sin_addr) == 1 ? place : nil
  }

  private static func withSocketAddress<T>(
    _ place: inout sockaddr_in, _ body: (UnsafePointer<sockaddr>, socklen_t) -> T
  ) -> T {
    withUnsafePointer(to: &place) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
  }
}
