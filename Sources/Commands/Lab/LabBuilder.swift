import APIClient
import Domain
import Foundation
import Lab
import Wire

/// Brings a lab up and makes its nodes known to its server.
struct LabBuilder: Sendable {
  var root: String
  var nodes: Int
  var gpusPerNode: Int
  var disk: ByteCount
  /// Folder of the programs that run on nodes; nil takes `BATON_NODE_BIN`, else the folder of this program.
  var nodePrograms: String?
  /// Where progress is told.
  var tell: @Sendable (String) -> Void

  /// What the lab is to consist of.
  func settings(environment: [String: String]) throws -> LabSettings {
    let own = try OwnPrograms.folder()
    let named = nodePrograms ?? environment["BATON_NODE_BIN"].flatMap { $0.isEmpty ? nil : $0 } ?? own
    let onNodes = URL(fileURLWithPath: named).standardizedFileURL.path
    for program in ["baton-agent", "baton-train"]
    where !FileManager.default.isExecutableFile(atPath: "\(onNodes)/\(program)") {
      throw CommandFailure(
        .configuration,
        "there is no program \(onNodes)/\(program): run `make build`, or name the folder of the "
          + "programs for nodes with --node-bin or BATON_NODE_BIN")
    }
    let programs = LabPrograms(
      binFolder: onNodes, controller: try OwnPrograms.path(of: "batond"), agent: "\(onNodes)/baton-agent",
      warden: [try OwnPrograms.path(of: "baton"), "lab", "warden", "--lab", root],
      migrations: try OwnPrograms.resource("migrations"))
    return LabSettings(
      root: root, programs: programs, nodeCount: nodes, diskSize: disk, gpusPerNode: gpusPerNode)
  }

  /// Makes, or wakes, the lab.
  ///
  /// Nodes that its server knows are left as they are.
  func up() async throws -> LabDescription {
    let settings = try settings(environment: ProcessInfo.processInfo.environment)
    let description = try await LabWork.run {
      try await Lab.up(settings) { progress in
        if progress.done < progress.total { tell("[\(progress.done + 1)/\(progress.total)] \(progress.step)") }
      }
    }
    try await withClient(of: description) { client in
      let known = Set(try await client.nodes().items.map(\.name))
      for node in description.nodes where !known.contains(node.name) {
        let check = try await client.addNode(
          NodeRequest(
            name: node.name, address: node.address, port: node.port, user: node.user, hostKey: node.hostPublicKey,
            nodeType: "lab", rootPath: node.rootPath))
        guard let failed = check.steps.first(where: { !$0.passed }) else {
          tell("\(node.name) is reachable: \(check.steps.map(\.name).joined(separator: ", "))")
          continue
        }
        throw CommandFailure(.internalError, "\(node.name) of the lab: \(failed.name): \(failed.detail)")
      }
    }
    return description
  }

  /// Lends a client of the lab's server.
  func withClient<T>(of description: LabDescription, _ body: (BatonClient) async throws -> T) async throws -> T {
    let configuration = try ClientConfiguration.load(file: description.clientConfiguration, environment: [:])
    return try await BatonClient.with(configuration, body)
  }
}
