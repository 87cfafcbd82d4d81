import Foundation
import Glibc

/// What `lab.json` says: everything needed to find each part of a lab again, and to remove it after a crash.
struct LabRecord: Codable, Sendable {
  /// How a node is kept apart from the machine.
  enum Isolation: String, Codable, Sendable {
    /// PID, mount, IPC and host name spaces of its own; a disk that is a file system. Needs root.
    case namespaces
    /// Only marked: processes by a variable in their environment, the disk by a folder.
    case marked
  }

  struct Postgres: Codable, Sendable {
    var folder: String
    var socketFolder: String
    var port: Int
    var process: ProcessIdentity?
  }

  struct Controller: Codable, Sendable {
    var port: Int
    var process: ProcessIdentity?
  }

  struct Node: Codable, Sendable {
    var name: String
    var address: String
    var port: Int
    /// The outer process of the namespaces, or sshd itself where there are none; nil when the node is down.
    var process: ProcessIdentity?
    /// Since when its disk holds nothing from before; microseconds since 1970.
    var cleanSince: Int64
  }

  /// Changes when a program that does not know the new form could do harm with it.
  static let currentVersion = 1

  var version: Int
  /// In the environment of every process of the lab and in the name of every mount.
  var id: String
  var userID: UInt32
  var isolation: Isolation
  var settings: LabSettings
  var postgres: Postgres?
  var controller: Controller?
  var warden: ProcessIdentity?
  var watchdog: ProcessIdentity?
  /// The network between nodes and machine, where nodes have links.
  var links: ProcessIdentity?
  var nodes: [Node]

  init(settings: LabSettings) {
    version = Self.currentVersion
    id = String(UInt64.random(in: 0...UInt64.max), radix: 36)
    userID = getuid()
    isolation = getuid() == 0 ? .namespaces : .marked
    self.settings = settings
    nodes = []
  }

  /// What marks the processes of one part of this lab: `postgres`, `batond`, `warden`, `links`.
  func environment(of part: String) -> [String: String] { ["BATON_LAB": id, "BATON_LAB_PART": "\(id)/\(part)"] }

  /// What marks the processes of one node, on it and around it.
  func environment(ofNode name: String) -> [String: String] { ["BATON_LAB": id, "BATON_LAB_NODE": "\(id)/\(name)"] }

  /// The process of a part that runs though nobody wrote it down, since whoever started it was killed in between.
  func stray(_ part: String) -> ProcessIdentity? {
    let pids = ProcessTable.pids(withEnvironment: "BATON_LAB_PART", "\(id)/\(part)")
    let first = pids.first { pid in ProcessTable.state(of: pid).map { !pids.contains($0.parent) } ?? false }
    return first.flatMap { ProcessIdentity(pid: $0) }
  }

  /// The device name of a node's disk in the mount table.
  func mountSource(of node: String) -> String { "baton-lab-\(id)-\(node)" }
}

/// `lab.json`, shared by the CLI, the warden and tests.
struct LabRecordFile: Sendable {
  let layout: LabLayout

  var exists: Bool { Files.exists(layout.record) }

  /// The record as it is now; throws `.notALab` when there is none or it cannot be read.
  func read() throws(LabError) -> LabRecord {
    guard let bytes = Files.bytes(layout.record) else {
      throw LabError(.notALab, "\(layout.root) holds no lab", advice: "start one with 'baton lab up'")
    }
    let record: LabRecord
    do {
      record = try JSONDecoder().decode(LabRecord.self, from: Data(bytes))
    } catch {
      throw LabError(.notALab, "\(layout.record) cannot be read (\(error))")
    }
    guard record.version == LabRecord.currentVersion else {
      throw LabError(.notALab, "\(layout.record) has version \(record.version)", advice: "use the Baton that made it")
    }
    guard record.userID == getuid() || getuid() == 0 else {
      throw LabError(.notOurs, "the lab in \(layout.root) belongs to user \(record.userID)", advice: "become that user")
    }
    return record
  }

  /// Writes the first record of a lab.
  func create(_ record: LabRecord) throws(LabError) {
    try write(record)
  }

  /// Changes the record, with all other processes kept from doing so meanwhile.
  ///
  /// `change` must not wait.
  @discardableResult
  func update<T>(_ change: (inout LabRecord) throws(LabError) -> T) throws(LabError) -> T {
    let lock = open(layout.lock, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard lock >= 0 else { throw Files.failure("open the lock", layout.lock) }
    defer { close(lock) }
    while flock(lock, LOCK_EX) != 0 {
      guard errno == EINTR else { throw Files.failure("lock", layout.lock) }
    }
    var record = try read()
    let result = try change(&record)
    try write(record)
    return result
  }

  /// Changes what is recorded of one node.
  func updateNode(_ name: String, _ change: (inout LabRecord.Node) -> Void) throws(LabError) {
    try update { record throws(LabError) in
      guard let index = record.nodes.firstIndex(where: { $0.name == name }) else {
        throw LabError(.unknownNode, "the lab has no node '\(name)'")
      }
      change(&record.nodes[index])
    }
  }

  private func write(_ record: LabRecord) throws(LabError) {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    let text: String
    do {
      text = String(decoding: try encoder.encode(record), as: UTF8.self)
    } catch {
      throw LabError(.systemCall, "cannot encode the record of the lab (\(error))")
    }
    try Files.write(text + "\n", to: layout.record, mode: 0o600)
  }
}
