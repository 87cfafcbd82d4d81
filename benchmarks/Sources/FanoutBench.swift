import ArgumentParser
import Domain
import Foundation
import Lab
import SSH

/// `baton-bench fanout`: `true` on many nodes at once, beside OpenSSH's own client.
struct FanoutBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fanout", abstract: "Run `true` on 8, 16 and 64 nodes, over kept sessions and over new ones.")

  @Option(parsing: .upToNextOption, help: "On how many nodes.")
  var sizes = [8, 16, 64]

  @Option(help: "How often each is measured.")
  var times = 7

  @OptionGroup var options: BenchOptions

  func validate() throws {
    guard times > 0, let most = sizes.max(), most <= 250, sizes.allSatisfy({ $0 > 0 }) else {
      throw ValidationError("--times is at least 1, --sizes are 1 to 250")
    }
  }

  func run() async throws {
    let figures = try await BenchLab.with(
      "fanout", options, nodes: sizes.max() ?? 1, hasController: false, disk: .mebibytes(16)
    ) { bench in
      let fleet = try Fleet(bench)
      var figures: [Figure] = []
      for size in sizes { figures += try await measure(fleet, size, bench.progress) }
      return figures
    }
    try BenchResult(name: "fanout", machine: Machine.text(options), figures: figures).publish(to: options.results)
  }

  private func measure(_ fleet: Fleet, _ size: Int, _ progress: Progress) async throws -> [Figure] {
    let endpoints = Array(fleet.endpoints.prefix(size))
    let kept = fleet.pool()
    let openSSH = try fleet.openSSH(size)
    // Opening is no part of what is measured warm.
    try await fleet.run(endpoints, kept)
    try await openSSH.openMasters()
    var samples: [String: [Double]] = [:]
    for _ in 0..<times {
      // One after the other in every round: what disturbs the machine disturbs all.
      samples["baton warm", default: []].append(try await timed { try await fleet.run(endpoints, kept) })
      samples["ssh warm", default: []].append(try await timed { try await openSSH.run(.warm) })
      let fresh = fleet.pool()
      samples["baton cold", default: []].append(try await timed { try await fleet.run(endpoints, fresh) })
      await fresh.closeAll()
      samples["ssh cold", default: []].append(try await timed { try await openSSH.run(.cold) })
      samples["ssh alike", default: []].append(try await timed { try await openSSH.run(.alike) })
    }
    await kept.closeAll()
    try await openSSH.closeMasters()
    func values(_ key: String) -> [Double] { samples[key] ?? [] }
    progress.say(
      "\(size) nodes: "
        + ["baton warm", "ssh warm", "baton cold", "ssh cold", "ssh alike"]
        .map { "\($0) \(Figure.text(values($0).median ?? 0)) s" }.joined(separator: ", "))
    func figure(_ way: String) -> Figure {
      let peer = values("ssh \(way)").median
      return .median(
        "baton_\(way)_\(size)", values("baton \(way)"), "s", goal: peer.map { .atMost($0) },
        against: "OpenSSH's ssh in this run: \(peer.map(Figure.text) ?? "-") s; " + Earlier.text(way, size))
    }
    return [
      figure("warm"), .median("ssh_warm_\(size)", values("ssh warm"), "s", against: "ControlMaster, 16 at once"),
      figure("cold"), .median("ssh_cold_\(size)", values("ssh cold"), "s", against: "16 at once, as shipped"),
      .median(
        "ssh_cold_alike_\(size)", values("ssh alike"), "s", against: "16 at once, key exchange and cipher as Baton's"),
    ]
  }
}

/// The peers' figures on a machine like the author's, from another day.
private enum Earlier {
  private static let warm: [Int: String] = [
    8: "ssh 0.051, clush 0.176, asyncssh 0.012, parallel-ssh 0.057",
    16: "ssh 0.083, clush 0.213, asyncssh 0.029, parallel-ssh 0.063",
    64: "ssh 0.41, clush 0.87, asyncssh 0.132, parallel-ssh 0.150",
  ]
  private static let cold: [Int: String] = [
    8: "asyncssh 0.41, parallel-ssh 0.41, pdsh 0.6, clush 0.8, taktuk 1.7, ansible 2.1",
    16: "asyncssh 0.55, parallel-ssh 0.56, pdsh 1.0, clush 1.2, taktuk 2.3, ansible 3.3",
    64: "asyncssh 1.32, parallel-ssh 1.89, pdsh 4.0, clush 6.3, taktuk 6.1, ansible 13.3",
  ]

  static func text(_ way: String, _ size: Int) -> String {
    (way == "warm" ? warm : cold)[size].map { "here, earlier: \($0) s" } ?? "no earlier figures"
  }
}

/// The nodes of the lab, as Baton's SSH module sees them.
private struct Fleet {
  let endpoints: [SSHEndpoint]
  private let nodes: [LabNode.Description]
  private let keys: [SSHEndpoint: HostKey]
  private let keyFile: String
  private let folder: String

  init(_ bench: BenchLab) throws {
    nodes = bench.description.nodes
    keyFile = bench.lab.layout.sshKey
    folder = bench.outside
    var keys: [SSHEndpoint: HostKey] = [:]
    var endpoints: [SSHEndpoint] = []
    for node in nodes {
      guard let key = HostKey(node.hostPublicKey), let port = UInt16(exactly: node.port) else {
        throw BenchFailure("\(node.name) has no usable host key or port")
      }
      let endpoint = SSHEndpoint(host: node.address, port: port, user: node.user)
      endpoints.append(endpoint)
      keys[endpoint] = key
    }
    self.endpoints = endpoints
    self.keys = keys
  }

  /// A pool with no session open, made as the controller makes its own.
  func pool() -> SSHPool {
    let (keys, identity) = (keys, SSHIdentity.file(keyFile))
    return SSHPool { endpoint in
      guard let key = keys[endpoint] else { throw BenchFailure("\(endpoint) is none of the lab's nodes") }
      return SSHCredentials(hostKey: key, identity: identity)
    }
  }

  /// Runs `true` everywhere; throws unless it ended well on each.
  func run(_ endpoints: [SSHEndpoint], _ pool: SSHPool) async throws {
    for result in await pool.fanOut(["true"], on: endpoints) {
      guard try result.get().status.isSuccess else { throw BenchFailure("true failed") }
    }
  }

  /// OpenSSH's client, told of the first `size` nodes.
  func openSSH(_ size: Int) throws -> OpenSSH {
    try OpenSSH(folder: "\(folder)/ssh-\(size)", nodes: Array(nodes.prefix(size)), keyFile: keyFile)
  }
}

/// The named peer: `ssh`, 16 at once.
private struct OpenSSH {
  /// How it connects; the raw value names its settings file.
  enum Way: String {
    /// Over a master connection that is open.
    case warm
    /// As shipped.
    case cold
    /// With the key exchange and cipher that libssh2 1.10 has: as shipped, OpenSSH's are post-quantum and cost more.
    case alike
  }

  private let folder: String
  private var hosts: String { "\(folder)/hosts" }

  init(folder: String, nodes: [LabNode.Description], keyFile: String) throws {
    self.folder = folder
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let known = nodes.map { "[\($0.address)]:\($0.port) \($0.hostPublicKey)\n" }.joined()
    try write(known, "known")
    try write(nodes.map { $0.name + "\n" }.joined(), "hosts")
    let common = """
      IdentityFile \(keyFile)
      IdentitiesOnly yes
      UserKnownHostsFile \(folder)/known
      GlobalKnownHostsFile /dev/null
      StrictHostKeyChecking yes
      BatchMode yes
      LogLevel ERROR

      """
    let names = nodes.map { "Host \($0.name)\nHostName \($0.address)\nPort \($0.port)\nUser \($0.user)\n" }.joined()
    let new = "ControlMaster no\nControlPath none\n"
    try write("ControlMaster auto\nControlPersist 600\nControlPath \(folder)/%n\n" + common + names, Way.warm.rawValue)
    try write(new + common + names, Way.cold.rawValue)
    let alike = "KexAlgorithms curve25519-sha256\nCiphers aes256-ctr\n"
    try write(new + alike + common + names, Way.alike.rawValue)
  }

  func openMasters() async throws { try await run(.warm) }

  func closeMasters() async throws {
    try await each(["ssh", "-F", "\(folder)/\(Way.warm.rawValue)", "-O", "exit", "HOST"])
  }

  func run(_ way: Way) async throws { try await each(["ssh", "-F", "\(folder)/\(way.rawValue)", "HOST", "true"]) }

  private func each(_ command: [String]) async throws {
    try await Child.checked("xargs", ["-a", hosts, "-P", "16", "-I", "HOST"] + command)
  }

  private func write(_ text: String, _ name: String) throws {
    try Data(text.utf8).write(to: URL(fileURLWithPath: "\(folder)/\(name)"))
  }
}
