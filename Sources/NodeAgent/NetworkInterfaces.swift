import CLinux
import Domain
import Glibc

/// What the kernel says of this node's networks.
enum NetworkInterfaces {
  /// The interface by which the other nodes reach this one at `host`, an address or a name; nil where none has it.
  ///
  /// A name that means loopback here means another address elsewhere, and tells nothing.
  static func reached(at host: String) -> String? {
    let interfaces = all()
    if let address = bytes(of: host) { return NetworkInterface.reached(at: [address], of: interfaces) }
    return NetworkInterface.reached(at: resolve(host), of: interfaces.filter { !$0.isLoopback })
  }

  private static func all() -> [NetworkInterface] {
    var first: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&first) == 0 else { return [] }
    defer { freeifaddrs(first) }
    var found: [NetworkInterface] = []
    var next = first
    while let entry = next?.pointee {
      next = entry.ifa_next
      guard entry.ifa_flags & UInt32(IFF_UP) != 0, let address = bytes(of: entry.ifa_addr) else { continue }
      let mask = bytes(of: entry.ifa_netmask) ?? []
      found.append(
        NetworkInterface(
          name: String(cString: entry.ifa_name), address: address, prefix: mask.reduce(0) { $0 + $1.nonzeroBitCount },
          isLoopback: entry.ifa_flags & UInt32(IFF_LOOPBACK) != 0))
    }
    return found
  }

  private static func bytes(of address: UnsafeMutablePointer<sockaddr>?) -> [UInt8]? {
    guard let address else { return nil }
    let raw = UnsafeRawPointer(address)
    switch Int32(address.pointee.sa_family) {
    case AF_INET:
      return withUnsafeBytes(of: raw.loadUnaligned(as: sockaddr_in.self).sin_addr) { Array($0) }
    case AF_INET6:
      return withUnsafeBytes(of: raw.loadUnaligned(as: sockaddr_in6.self).sin6_addr) { Array($0) }
    default: return nil
    }
  }

  /// The bytes of an address; nil for a name.
  private static func bytes(of text: String) -> [UInt8]? {
    var four = in_addr()
    if inet_pton(AF_INET, text, &four) == 1 { return withUnsafeBytes(of: four) { Array($0) } }
    var sixteen = in6_addr()
    if inet_pton(AF_INET6, text, &sixteen) == 1 { return withUnsafeBytes(of: sixteen) { Array($0) } }
    return nil
  }

  private static func resolve(_ name: String) -> [[UInt8]] {
    var first: UnsafeMutablePointer<addrinfo>?
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    guard getaddrinfo(name, nil, &hints, &first) == 0 else { return [] }
    defer { freeaddrinfo(first) }
    var found: [[UInt8]] = []
    var next = first
    while let entry = next?.pointee {
      if let address = bytes(of: entry.ai_addr) { found.append(address) }
      next = entry.ai_next
    }
    return found
  }
}
