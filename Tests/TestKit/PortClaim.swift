import Foundation
import Glibc

/// TCP ports for servers of tests, which no other test on this machine takes meanwhile.
public enum PortClaim {
  /// Below the range that the kernel gives to outgoing connections, so that none of those takes the port.
  private static let range: ClosedRange<UInt16> = 20_000...32_000

  /// A port of `address` that is free, and this process's own to its end.
  ///
  /// Claims are names of Unix sockets without a file, which the kernel gives to one process and takes back when it
  /// ends; labs claim in the same way.
  public static func make(on address: String = "127.0.0.1") throws -> UInt16 {
    for _ in 0..<200 {
      let port = UInt16.random(in: range)
      if isFree(address, port), claim("baton-port-\(port)") { return port }
    }
    throw POSIXError(.EADDRINUSE)
  }

  private static func isFree(_ address: String, _ port: UInt16) -> Bool {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    defer { close(descriptor) }
    var reuse: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &reuse, socklen_t(MemoryLayout<Int32>.size))
    var place = sockaddr_in()
    place.sin_family = sa_family_t(AF_INET)
    place.sin_port = port.bigEndian
    place.sin_addr.s_addr = inet_addr(address)
    return bound(descriptor, &place, MemoryLayout<sockaddr_in>.size)
  }

  /// Whether the name is this process's now; the socket stays open to the end of the process.
  private static func claim(_ name: String) -> Bool {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    var place = sockaddr_un()
    place.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &place.sun_path) { path in
      // A zero at the beginning makes it a name without a file.
      for (index, byte) in name.utf8.enumerated() { path[index + 1] = byte }
    }
    if bound(descriptor, &place, MemoryLayout<sa_family_t>.size + 1 + name.utf8.count) { return true }
    close(descriptor)
    return false
  }

  private static func bound<Place>(_ descriptor: Int32, _ place: inout Place, _ size: Int) -> Bool {
    withUnsafePointer(to: &place) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, socklen_t(size)) == 0 }
    }
  }
}
