/// What a link does to every packet that crosses it, whichever way.
struct LinkImpairment: Sendable, Hashable {
  /// Of 1000 packets so many are lost.
  var lossPermille: UInt32
  /// How long each is under way; microseconds.
  var delayMicroseconds: UInt32

  /// A link that works.
  static let none = LinkImpairment(lossPermille: 0, delayMicroseconds: 0)
  /// A link that carries nothing, as when its cable is pulled: nobody is told, packets are just not heard of again.
  static let cut = LinkImpairment(lossPermille: 1000, delayMicroseconds: 0)

  var isCut: Bool { lossPermille >= 1000 }
}

/// Where the links of a lab meet: which IPv4 packet goes where, and when.
///
/// A value without a clock or a device. Port 0 is the machine's, whose link never fails; port N is that of node N. A
/// packet from one node to another crosses two links. Packets between two ports stay in their order.
struct LinkSwitch {
  private struct Waiting {
    var due: ContinuousClock.Instant
    var packet: [UInt8]
  }

  /// What is under way from one port to another.
  private struct Lane {
    var from: Int
    var to: Int
    var waiting: [Waiting] = []
    /// What of `waiting` has arrived.
    var gone = 0

    var next: ContinuousClock.Instant? { gone < waiting.count ? waiting[gone].due : nil }

    mutating func takeDue(at now: ContinuousClock.Instant) -> [[UInt8]] {
      var taken: [[UInt8]] = []
      while gone < waiting.count, waiting[gone].due <= now {
        taken.append(waiting[gone].packet)
        gone += 1
      }
      if gone == waiting.count || gone > 1000 {
        waiting.removeFirst(gone)
        gone = 0
      }
      return taken
    }
  }

  /// As much as routers of such links hold; what comes beyond it is lost.
  private static let laneLimit = 10_000

  /// How each port's link is now.
  var impairments: [LinkImpairment]
  private let ports: Int
  private var lanes: [Lane] = []

  /// A switch of a machine and `nodes` nodes whose links work.
  init(nodes: Int) {
    ports = nodes + 1
    impairments = Array(repeating: .none, count: nodes + 1)
  }

  /// Takes in what a port sent.
  mutating func take(
    _ packet: [UInt8], from: Int, at now: ContinuousClock.Instant, chance: inout some RandomNumberGenerator
  ) {
    // Version 4 and a whole header; the destination is its last four bytes.
    guard packet.count >= 20, packet[0] >> 4 == 4,
      let to = LabNetwork.port(of: packet[16..<20], ports: ports), to != from
    else { return }
    var delay: Int64 = 0
    for port in [from, to] {
      let link = impairments[port]
      if link.lossPermille > 0, UInt32.random(in: 0..<1000, using: &chance) < link.lossPermille { return }
      delay += Int64(link.delayMicroseconds)
    }
    let index = lane(from, to)
    guard lanes[index].waiting.count - lanes[index].gone < Self.laneLimit else { return }
    lanes[index].waiting.append(Waiting(due: now + .microseconds(delay), packet: packet))
  }

  /// What arrives by now, and where.
  ///
  /// What was under way when a link was cut never does.
  mutating func takeDue(at now: ContinuousClock.Instant) -> [(port: Int, packet: [UInt8])] {
    var arrived: [(port: Int, packet: [UInt8])] = []
    for index in lanes.indices {
      let (from, to) = (lanes[index].from, lanes[index].to)
      let packets = lanes[index].takeDue(at: now)
      if impairments[from].isCut || impairments[to].isCut { continue }
      arrived += packets.map { (to, $0) }
    }
    return arrived
  }

  /// When the next packet arrives; nil while none is under way.
  var next: ContinuousClock.Instant? { lanes.compactMap(\.next).min() }

  private mutating func lane(_ from: Int, _ to: Int) -> Int {
    if let index = lanes.firstIndex(where: { $0.from == from && $0.to == to }) { return index }
    lanes.append(Lane(from: from, to: to))
    return lanes.count - 1
  }
}
