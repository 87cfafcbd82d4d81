import CLinux
import Glibc

/// A network interface whose packets this process sends and receives; it goes with the file, and so with the process.
struct TunDevice {
  /// IPv4 packets, one a read or write; never blocks.
  let file: Int32

  /// Makes the interface `name` in the network of the calling thread, with an address in a network of 254, and brings
  /// it up.
  init(_ name: String, address: String) throws(LabError) {
    file = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC)
    guard file >= 0 else { throw Files.failure("open", "/dev/net/tun") }
    do {
      var request = InterfaceRequest(name)
      request.put(UInt16(0x1001))  // IFF_TUN | IFF_NO_PI: packets and nothing else
      try request.make(0x4004_54ca, on: file, "make the interface")  // TUNSETIFF
      try Self.withControl { control throws(LabError) in
        for (call, address) in [(UInt(0x8916), address), (0x891c, "255.255.255.0")] {  // SIOCSIFADDR, SIOCSIFNETMASK
          var request = InterfaceRequest(name)
          try request.put(address: address)
          try request.make(call, on: control, "give an address to the interface")
        }
      }
      try Self.bringUp(name)
    } catch {
      close(file)
      throw error
    }
  }

  /// Brings an interface of the calling thread's network up.
  static func bringUp(_ name: String) throws(LabError) {
    try withControl { control throws(LabError) in
      var request = InterfaceRequest(name)
      request.put(UInt16(0x41))  // IFF_UP | IFF_RUNNING
      try request.make(0x8914, on: control, "bring up the interface")  // SIOCSIFFLAGS
    }
  }

  /// Reads a packet into `buffer`; nil when there is none now.
  func read(_ buffer: inout [UInt8]) throws(LabError) -> [UInt8]? {
    let count = Glibc.read(file, &buffer, buffer.count)
    if count > 0 { return Array(buffer[..<count]) }
    guard count == 0 || errno == EAGAIN || errno == EINTR else { throw Files.failure("read from", "a link") }
    return nil
  }

  /// Hands a packet over; one that cannot be taken is lost, as on any network.
  func write(_ packet: [UInt8]) {
    _ = packet.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
  }

  private static func withControl(_ body: (Int32) throws(LabError) -> Void) throws(LabError) {
    let control = socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard control >= 0 else { throw Files.failure("make", "a socket") }
    defer { close(control) }
    try body(control)
  }
}

/// A `struct ifreq`: 16 bytes of a name, then what is asked for (netdevice(7)).
private struct InterfaceRequest {
  private static let nameSize = 16
  private var bytes = [UInt8](repeating: 0, count: 40)
  private let name: String

  init(_ name: String) {
    self.name = name
    for (index, byte) in name.utf8.prefix(Self.nameSize - 1).enumerated() { bytes[index] = byte }
  }

  mutating func put(_ flags: UInt16) {
    withUnsafeBytes(of: flags) { bytes.replaceSubrange(Self.nameSize..<Self.nameSize + 2, with: $0) }
  }

  mutating func put(address: String) throws(LabError) {
    var place = sockaddr_in()
    place.sin_family = sa_family_t(AF_INET)
    guard inet_pton(AF_INET, address, &place.sin_addr) == 1 else {
      throw LabError(.invalidSettings, "\(address) is no address")
    }
    withUnsafeBytes(of: place) { bytes.replaceSubrange(Self.nameSize..<Self.nameSize + $0.count, with: $0) }
  }

  mutating func make(_ call: UInt, on file: Int32, _ doing: String) throws(LabError) {
    let result = bytes.withUnsafeMutableBytes { buffer in
      buffer.baseAddress.map { ioctl(file, call, $0) } ?? -1
    }
    guard result == 0 else { throw Files.failure(doing, name) }
  }
}

/// The network that a thread is in.
enum NetworkSpace {
  private static let current = "/proc/thread-self/ns/net"

  /// Runs `body` in a network of its own, empty but for its loopback; the file that holds the network.
  ///
  /// Only the calling thread is moved, and moved back, so `body` must not wait for others.
  static func make(_ body: () throws(LabError) -> Void) throws(LabError) -> Int32 {
    let own = open(current, O_RDONLY | O_CLOEXEC)
    guard own >= 0 else { throw Files.failure("open", current) }
    defer { close(own) }
    guard unshare(baton_new_network) == 0 else { throw Files.failure("leave the network of", "the machine") }
    let made = Result<Int32, LabError> { () throws(LabError) in
      try TunDevice.bringUp("lo")
      try body()
      let made = open(current, O_RDONLY | O_CLOEXEC)
      guard made >= 0 else { throw Files.failure("open", current) }
      return made
    }
    guard setns(own, baton_new_network) == 0 else { throw Files.failure("go back to the network of", "the machine") }
    return try made.get()
  }
}
