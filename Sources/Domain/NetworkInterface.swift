/// A way of a node into a network: one address of one interface.
public struct NetworkInterface: Hashable, Sendable {
  /// What the system calls it: `eth0`, `ib0`...
  public var name: String
  /// Four bytes, or sixteen.
  public var address: [UInt8]
  /// How many of its first bits are the network's.
  public var prefix: Int
  /// Whether all addresses of its network are the node itself.
  public var isLoopback: Bool

  /// `address` of the interface `name`.
  public init(name: String, address: [UInt8], prefix: Int, isLoopback: Bool = false) {
    self.name = name
    self.address = address
    self.prefix = prefix
    self.isLoopback = isLoopback
  }

  /// The interface by which others reach this node at one of `addresses`; nil where none of `interfaces` has it.
  ///
  /// That is the one that has the address; of loopback also one whose network the address is in. An address that no
  /// interface has is somebody else's who passes on what comes, and says nothing of how the nodes talk to each other.
  public static func reached(at addresses: [[UInt8]], of interfaces: [NetworkInterface]) -> String? {
    for address in addresses {
      let found =
        interfaces.first { $0.address == address }
        ?? interfaces.first { $0.isLoopback && $0.hasInItsNetwork(address) }
      if let found { return found.name }
    }
    return nil
  }

  private func hasInItsNetwork(_ other: [UInt8]) -> Bool {
    guard other.count == address.count else { return false }
    return (0..<min(prefix, address.count * 8)).allSatisfy { bit in
      let mask = UInt8(0x80) >> UInt8(bit % 8)
      return address[bit / 8] & mask == other[bit / 8] & mask
    }
  }
}

extension LauncherSpec {
  /// How libraries are told to talk to other nodes by the interface `name`; nothing where it is nil.
  func networkDefaults(_ name: String?) -> [String: String] {
    guard let name else { return [:] }
    // NCCL takes a bare name for the beginning of names.
    var all = ["NCCL_SOCKET_IFNAME": "=\(name)", "GLOO_SOCKET_IFNAME": name, "TP_SOCKET_IFNAME": name]
    if kind == .mpi {
      all["OMPI_MCA_oob_tcp_if_include"] = name
      all["OMPI_MCA_btl_tcp_if_include"] = name
    }
    return all
  }
}
