import Foundation
import Glibc

/// The links of a lab's nodes: a process that is the network between them and the machine.
///
/// Each node has a network of its own with one interface; the machine has one for all. This process holds both ends of
/// everything and hands packets on (`LinkSwitch`), late, or not at all, as the lab's `LinkTable` says. Its end is the
/// end of all interfaces; networks end with the last process in them. So whatever kills a lab's processes takes its
/// network off the machine.
public struct LabLinks: Sendable {
  private let lab: Lab

  /// The links of a lab.
  public init(_ lab: Lab) { self.lab = lab }

  /// Where the process of the links holds the network of node `number`; a path that tools can enter it by.
  static func space(ofNode number: Int, _ process: ProcessIdentity) -> String {
    "/proc/\(process.pid)/fd/\(Int(firstSpace) + number)"
  }

  /// Files of the process from here on are networks of nodes, above all others that it has.
  private static let firstSpace: Int32 = 300

  /// Makes the networks and hands packets on; never returns.
  ///
  /// Throws where the kernel does not let it, or the lab has no links.
  public func run() async throws {
    let record = try lab.file.read()
    guard let network = record.settings.network else { throw LabError(.unsupported, "this lab has no links") }
    let table = lab.layout.links
    try await withCheckedThrowingContinuation { (ended: CheckedContinuation<Void, any Error>) in
      // It moves between networks and waits for packets: neither may happen to a thread of the cooperative pool.
      Thread.detachNewThread {
        do {
          try Self.relay(network, nodes: record.nodes.count, table)
        } catch {
          ended.resume(throwing: error)
        }
      }
    }
  }

  private static func relay(_ network: LabNetwork, nodes: Int, _ table: String) throws(LabError) -> Never {
    let tableFile = open(table, O_RDONLY | O_CREAT | O_CLOEXEC, 0o600)
    guard tableFile >= 0 else { throw Files.failure("open", table) }
    var devices = [try TunDevice(network.interface, address: network.machineAddress)]
    for number in 1...nodes {
      let space = try NetworkSpace.make { () throws(LabError) in
        devices.append(try TunDevice("link0", address: network.address(ofNode: number)))
      }
      // Last, since whoever waits for this node looks for it.
      guard dup2(space, firstSpace + Int32(number)) >= 0 else { throw Files.failure("keep", "a network") }
      close(space)
    }
    var links = LinkSwitch(nodes: nodes)
    var chance = SystemRandomNumberGenerator()
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    var sources = devices.map { pollfd(fd: $0.file, events: Int16(POLLIN), revents: 0) }
    while true {
      // Rounded up: a packet is never early.
      let rest = links.next.map { max(.zero, ContinuousClock.now.duration(to: $0)) / .milliseconds(1) } ?? 3_600_000
      _ = poll(&sources, nfds_t(sources.count), Int32(min(rest.rounded(.up), 3_600_000)))
      links.impairments = [.none] + LinkTable.read(tableFile, nodes: nodes)
      for port in sources.indices where sources[port].revents != 0 {
        // Not all that one has: the others are not to wait for it.
        for _ in 0..<64 {
          guard let packet = try devices[port].read(&buffer) else { break }
          links.take(packet, from: port, at: .now, chance: &chance)
        }
      }
      for (port, packet) in links.takeDue(at: .now) { devices[port].write(packet) }
    }
  }
}

extension Lab {
  /// Starts the links of a lab that has some, and returns when every node has its network; running is success.
  ///
  /// Nodes that were booted on links that are gone are down afterwards.
  func startLinks() async throws {
    let record = try file.read()
    guard record.settings.network != nil, record.links?.isAlive != true else { return }
    guard let line = record.settings.programs.links, let program = line.first else {
      throw LabError(.invalidSettings, "the lab is to have links, and no program that makes them is named")
    }
    for node in try nodes { try await node.crash() }
    let command = Command(program, Array(line.dropFirst()), environment: record.environment(of: "links"))
    let log = layout.log(of: "links")
    let process = try record.stray("links") ?? command.startDaemon(log: log)
    try file.update { record throws(LabError) in record.links = process }
    let last = LabLinks.space(ofNode: record.nodes.count, process)
    try await Waiting.until("the links of the nodes", within: .seconds(30), advice: "read \(log)") {
      guard process.isAlive else {
        let words = (Files.text(log) ?? "").suffix(1000)
        throw LabError(.programFailed, "the links ended while starting: \(words)", advice: "read \(log)")
      }
      return Files.exists(last)
    }
  }

  /// Ends the links, and with them every interface; none is success.
  func stopLinks() async throws {
    guard let process = try file.read().links else { return }
    try await process.end(by: [], grace: .zero)
    try file.update { record throws(LabError) in record.links = nil }
  }
}
