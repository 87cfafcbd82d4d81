import Dispatch
import Glibc

/// One address that a name resolved to.
struct SocketAddress: Sendable {
  let storage: sockaddr_storage
  let length: socklen_t
  let family: Int32

  /// All addresses of `host`, in the order to try them.
  ///
  /// Blocks for as long as the name service does, so it runs on a queue that nothing else waits for. The message is
  /// the resolver's own.
  static func resolve(_ host: String, port: UInt16) -> Result<[SocketAddress], ResolveFailure> {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_flags = AI_NUMERICSERV
    var head: UnsafeMutablePointer<addrinfo>?
    let code = getaddrinfo(host, String(port), &hints, &head)
    guard code == 0 else { return .failure(ResolveFailure(message: String(cString: gai_strerror(code)))) }
    defer { freeaddrinfo(head) }
    var found: [SocketAddress] = []
    var next = head
    while let entry = next?.pointee {
      if let address = entry.ai_addr, Int(entry.ai_addrlen) <= MemoryLayout<sockaddr_storage>.size {
        var storage = sockaddr_storage()
        withUnsafeMutableBytes(of: &storage) {
          $0.copyMemory(from: UnsafeRawBufferPointer(start: address, count: Int(entry.ai_addrlen)))
        }
        found.append(SocketAddress(storage: storage, length: entry.ai_addrlen, family: entry.ai_family))
      }
      next = entry.ai_next
    }
    return found.isEmpty ? .failure(ResolveFailure(message: "no address")) : .success(found)
  }

  /// Starts to connect without waiting.
  ///
  /// Returns the descriptor, or the system's error number.
  func beginConnect() -> Result<Int32, SystemFailure> {
    let descriptor = socket(family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
    guard descriptor >= 0 else { return .failure(SystemFailure(number: errno)) }
    // Commands are small and answers are waited for: Nagle's delay would show in each of them.
    var on: Int32 = 1
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    var storage = storage
    let code = withUnsafeBytes(of: &storage) {
      connect(descriptor, $0.assumingMemoryBound(to: sockaddr.self).baseAddress, length)
    }
    let number = errno
    if code == 0 || number == EINPROGRESS { return .success(descriptor) }
    close(descriptor)
    return .failure(SystemFailure(number: number))
  }
}

/// Why a name has no address.
struct ResolveFailure: Error {
  let message: String
}

/// An error number of the system.
struct SystemFailure: Error {
  let number: Int32
  var message: String { String(cString: strerror(number)) }
}
