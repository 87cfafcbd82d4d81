import Domain
import Glibc

extension Lab {
  /// Ends everything of the lab and removes it from the machine; no lab there is success.
  ///
  /// Works from the record and from the marks of processes and mounts, so it also cleans after an `up` or a `down` that
  /// was killed midway. Touches no process that only has a recorded number by chance. Refuses a folder that is not a
  /// lab's. With `keepLogs` the folder stays with the logs in it.
  public func down(
    keepLogs: Bool = false, progress: @escaping @Sendable (LabProgress) -> Void = { _ in }
  ) async throws {
    let names = try Files.names(in: layout.root)
    if names.isEmpty { return try Files.remove(layout.root) }
    if names == ["log"] { return keepLogs ? () : try Files.remove(layout.root) }
    let record = try file.read()
    // The warden first: it would boot the nodes again that are taken away here.
    let steps = Steps(total: 5 + record.nodes.count, report: progress)
    try await steps.take("warden") { try await stopWarden() }
    try await steps.take("controller") { try await controller.stop() }
    for node in try nodes { try await steps.take("node \(node.name)") { try await node.remove() } }
    try await steps.take("links") { try await stopLinks() }
    try await steps.take("PostgreSQL") { try await postgres.stop() }
    try await Watchdog.stop(record.watchdog)
    try await steps.take("folder") { try await removeRest(of: record, keepLogs: keepLogs) }
  }

  private func removeRest(of record: LabRecord, keepLogs: Bool) async throws {
    // What was started and not recorded, because whoever started it was killed in between.
    try await ProcessTable.killAll("the processes of the lab") {
      ProcessTable.pids(withEnvironment: "BATON_LAB", record.id)
    }
    let prefix = record.mountSource(of: "")
    try await MountTable.unmount { $0.source.hasPrefix(prefix) || $0.target.hasPrefix("\(layout.root)/nodes/") }
    try postgres.remove()
    // The record goes before the rest of the folder only when all else is gone: with it, `down` can be repeated.
    try Files.removeAll(in: layout.root, except: keepLogs ? ["lab.json", "log"] : ["lab.json"])
    try Files.remove(layout.record)
    if !keepLogs { try Files.remove(layout.root) }
  }

  /// What each part of the lab does now.
  public func status() throws -> LabStatus {
    let record = try file.read()
    var parts = [
      LabStatus.Part(
        name: "postgres", state: try postgres.isRunning ? .running : .stopped,
        detail: record.postgres.map { "127.0.0.1:\($0.port), \($0.folder)" } ?? "never started")
    ]
    if record.settings.programs.controller != nil {
      let detail = record.controller.map { "http://127.0.0.1:\($0.port)" } ?? "never started"
      parts.append(
        LabStatus.Part(name: "batond", state: try controller.isRunning ? .running : .stopped, detail: detail))
    }
    if record.settings.programs.warden != nil {
      parts.append(
        LabStatus.Part(
          name: "warden", state: record.warden?.isAlive == true ? .running : .stopped,
          detail: layout.log(of: "warden")))
    }
    if let network = record.settings.network {
      parts.append(
        LabStatus.Part(
          name: "links", state: record.links?.isAlive == true ? .running : .stopped,
          detail: "the machine is \(network.machineAddress)"))
    }
    let size = record.settings.diskSize
    let disk = record.isolation == .namespaces ? "disk of \(size)" : "disk is a folder, \(size) by agreement only"
    for node in record.nodes {
      let state: LabStatus.State =
        switch try LabNode(name: node.name, file: file).state {
        case .running: .running
        case .down: .stopped
        case .refusing, .hanging: .faulty
        }
      let gpus = counted(record.settings.gpusPerNode, "stand-in GPU")
      parts.append(
        LabStatus.Part(name: node.name, state: state, detail: "\(node.address):\(node.port), \(disk), \(gpus)"))
    }
    return LabStatus(root: layout.root, parts: parts)
  }
}

/// What each part of a lab does.
public struct LabStatus: Sendable, Hashable, Codable {
  /// Whether a part works.
  public enum State: String, Sendable, Hashable, Codable {
    /// It runs; a node also answers.
    case running
    /// It does not run.
    case stopped
    /// A node that runs and does not answer.
    case faulty
  }

  /// One part.
  public struct Part: Sendable, Hashable, Codable {
    /// `postgres`, `batond`, `warden`, `links`, or the name of a node.
    public var name: String
    /// Whether it works.
    public var state: State
    /// Where it is and what limits hold, for a person.
    public var detail: String
  }

  /// The folder of the lab.
  public var root: String
  /// Every part, nodes last.
  public var parts: [Part]
}
