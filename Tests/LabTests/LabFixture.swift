import Domain
import Foundation
import Glibc
import Testing

@testable import Lab

/// Lends tests a lab of their own, which goes with the test and with the test process.
enum LabFixture {
  /// Runs `body` with `nodes` nodes and nothing else, then takes them down.
  static func withNodes(
    _ nodes: Int = 1, network: LabNetwork? = nil, disk: LabSettings.DiskKind? = nil, _ body: (Lab) async throws -> Void
  ) async throws {
    var settings = settings(nodes: nodes)
    settings.network = network
    settings.disk = disk
    settings.programs.links = ["\(built)/baton", "lab", "links", "--lab", settings.root]
    let lab = Lab(root: settings.root)
    do {
      try await lab.prepare(settings)
      try await lab.startLinks()
      for node in try lab.nodes { try await node.boot() }
      try await body(lab)
    } catch {
      try await lab.down()
      throw error
    }
    try await lab.down()
  }

  /// Runs `body` with a lab of a database and `nodes` nodes, then takes it down.
  static func with(
    nodes: Int = 1, programs: LabPrograms? = nil, _ body: (Lab) async throws -> Void
  ) async throws {
    let settings = settings(nodes: nodes, programs: programs)
    let lab = Lab(root: settings.root)
    do {
      _ = try await Lab.up(settings)
      try await body(lab)
    } catch {
      try await lab.down()
      throw error
    }
    try await lab.down()
  }

  static func settings(
    nodes: Int, programs: LabPrograms? = nil, dieWithParent: Bool = true
  ) -> LabSettings {
    let none = LabPrograms(binFolder: "/usr/bin", controller: nil, agent: "/bin/true", warden: nil, migrations: "/")
    return LabSettings(
      root: freshFolder(), programs: programs ?? none, nodeCount: nodes, diskSize: .mebibytes(16), gpusPerNode: 2,
      dieWithParent: dieWithParent)
  }

  /// The folder of the programs that were built with the tests.
  private static var built: String {
    let repository = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
      .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
    let here = Bundle.main.executableURL?.deletingLastPathComponent().path ?? ""
    return Files.isExecutable("\(here)/baton") ? here : "\(repository)/.build/debug"
  }

  /// A path that nothing has.
  static func freshFolder() -> String {
    "/tmp/baton-lab-test-\(String(UInt64.random(in: 0...UInt64.max), radix: 36))"
  }
}

extension LabNode {
  /// What a command on the node gives, over OpenSSH's own client with the node's host key pinned.
  func ssh(_ command: String, expecting hostKey: String? = nil) async throws -> Command.Result {
    let place = try description
    let known = "\(file.layout.root)/known-\(UInt32.random(in: 0...UInt32.max))"
    let name = place.port == 22 ? place.address : "[\(place.address)]:\(place.port)"
    try Files.write("\(name) \(hostKey ?? place.hostPublicKey)\n", to: known)
    let options = [
      "BatchMode=yes", "StrictHostKeyChecking=yes", "UserKnownHostsFile=\(known)", "GlobalKnownHostsFile=/dev/null",
      "IdentitiesOnly=yes", "IdentityAgent=none", "ConnectTimeout=20",
    ]
    return try await Command(
      "/usr/bin/ssh",
      ["-F", "none", "-i", file.layout.sshKey, "-p", "\(place.port)"] + options.flatMap { ["-o", $0] } + [
        "\(place.user)@\(place.address)", command,
      ]
    ).run()
  }
}

/// Whether this process may mount, and so gives nodes disks of their own.
let isRoot = getuid() == 0

/// Whether disks of nodes can be devices.
let hasDevices = isRoot && Files.exists("/dev/loop-control")

/// Whether those can be slow.
let hasSlowDevices = hasDevices && LabNode.canSlowDisks
