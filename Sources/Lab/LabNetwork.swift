import Glibc

/// The addresses of a lab whose nodes are on links of their own.
///
/// One network of 198.18.0.0/15, which is set aside for testing networks (RFC 2544) and routed nowhere.
public struct LabNetwork: Sendable, Hashable, Codable {
  /// Which of the 512.
  let number: Int

  init(number: Int) { self.number = number }

  private var prefix: String { "198.\(18 + number / 256).\(number % 256)" }

  /// Where nodes find the machine: what they are to reach there has to listen on this address.
  ///
  /// The machine has it once the lab is up.
  public var machineAddress: String { "\(prefix).254" }

  /// The address of the node of that number, 1 to 250.
  func address(ofNode number: Int) -> String { "\(prefix).\(number)" }

  /// The machine's end of all links.
  var interface: String { "baton-\(number)" }

  /// Which port of the links' switch a packet to this address leaves by, 0 for the machine; nil for nobody of `ports`.
  static func port(of address: ArraySlice<UInt8>, ports: Int) -> Int? {
    guard let last = address.last.map(Int.init) else { return nil }
    if last == 254 { return 0 }
    return (1..<ports).contains(last) ? last : nil
  }

  /// A network that no lab of this machine has.
  ///
  /// No other lab is given it while this process lives, nor while a lab is up on it.
  public static func free() throws(LabError) -> LabNetwork {
    for _ in 0..<200 {
      let network = LabNetwork(number: .random(in: 0..<512))
      if !Files.exists("/sys/class/net/\(network.interface)"), Claims.claim("baton-network-\(network.number)") {
        return network
      }
    }
    throw LabError(.systemCall, "no free network below 198.18.0.0/15", advice: "take labs down that nobody uses")
  }
}
