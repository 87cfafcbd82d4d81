import Glibc

/// One step of bringing a lab up or down, for a progress display.
public struct LabProgress: Sendable, Hashable {
  /// What is about to be done, or was.
  public var step: String
  /// How many steps are done.
  public var done: Int
  /// How many there are.
  public var total: Int
}

/// A lab that runs, as the CLI needs it to make the nodes known to the controller.
public struct LabDescription: Sendable, Hashable, Codable {
  /// The folder of the lab.
  public var root: String
  /// Where the API is; nil for a lab without a controller.
  public var url: String?
  /// Address and token for the CLI; nil for a lab without a controller.
  public var clientConfiguration: String?
  /// How to reach the database.
  public var database: String
  /// The nodes in their order.
  public var nodes: [LabNode.Description]
}

extension Lab {
  /// Makes and starts a lab, or starts what does not run of one that exists.
  ///
  /// Returns when every part answers. A lab that exists keeps its settings: other ones throw `.invalidSettings`, except
  /// for the places of programs, which are taken over. When it throws, or the process is killed, `down` cleans up and
  /// a second `up` carries on.
  public static func up(
    _ settings: LabSettings, progress: @escaping @Sendable (LabProgress) -> Void = { _ in }
  ) async throws -> LabDescription {
    let lab = Lab(root: settings.root)
    try await lab.prepare(settings)
    let record = try lab.file.read()
    let hasController = record.settings.programs.controller != nil
    let hasLinks = record.settings.network != nil
    let steps = Steps(total: 2 + record.nodes.count + (hasController ? 2 : 0) + (hasLinks ? 1 : 0), report: progress)
    try await steps.take("PostgreSQL") { try await lab.postgres.start() }
    // Before the controller, whose object store may be where nodes find it.
    if hasLinks { try await steps.take("links") { try await lab.startLinks() } }
    if hasController {
      try await steps.take("controller") { try await lab.controller.start() }
      try await steps.take("access token") { try await lab.controller.writeClientConfiguration() }
    }
    for node in try lab.nodes {
      try await steps.take("node \(node.name)") { try await node.boot() }
    }
    try await steps.take("warden") { try lab.startWarden() }
    return try lab.description
  }

  /// How to use the lab.
  ///
  /// Throws when it was not brought up to the end once.
  public var description: LabDescription {
    get throws {
      let hasController = try settings.programs.controller != nil
      return LabDescription(
        root: layout.root, url: hasController ? try controller.url : nil,
        clientConfiguration: hasController ? layout.clientConfiguration : nil, database: try postgres.conninfo,
        nodes: try nodes.map { try $0.description })
    }
  }

  /// Makes what every part needs: folders, the record, the key that opens the nodes, the watchdog.
  func prepare(_ settings: LabSettings) async throws {
    try settings.validate()
    try Files.makeFolder(layout.root)
    // `down` removes the folder with all that is in it, so nothing else may be in it.
    let ours: Set<String> = ["log", "up.lock", "lab.lock"]
    if !file.exists, let foreign = try Files.names(in: layout.root).first(where: { !ours.contains($0) }) {
      throw LabError(
        .invalidSettings, "\(layout.root) is no lab and holds other things, such as '\(foreign)'",
        advice: "name a folder that is empty or does not exist")
    }
    try await Waiting.locked("\(layout.root)/up.lock") {
      if file.exists {
        try takeOver(settings)
      } else {
        try file.create(try newRecord(settings))
      }
      for folder in [layout.logs, layout.objects, "\(layout.root)/ssh"] { try Files.makeFolder(folder) }
      if !Files.exists(layout.sshPublicKey) { try await Keys.make(layout.sshKey, comment: "baton lab") }
    }
    if settings.dieWithParent { try Watchdog.start(file) }
  }

  private func newRecord(_ settings: LabSettings) throws -> LabRecord {
    var record = LabRecord(settings: settings)
    let numbers = 1...settings.nodeCount
    let addresses =
      settings.network.map { network in numbers.map { network.address(ofNode: $0) } }
      ?? numbers.map { "127.0.1.\($0)" }
    // In a network of its own nobody but the node has a port.
    let port = try settings.sshPort ?? (settings.network == nil ? Ports.free(on: addresses) : 22)
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    record.nodes = addresses.enumerated().map { index, address in
      .init(
        name: "n\(index + 1)", address: address, port: port, process: nil,
        cleanSince: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)
    }
    return record
  }

  private func takeOver(_ settings: LabSettings) throws {
    try file.update { record throws(LabError) in
      var wanted = settings
      wanted.programs = record.settings.programs
      wanted.dieWithParent = record.settings.dieWithParent
      guard wanted == record.settings else {
        throw LabError(
          .invalidSettings, "the lab in \(layout.root) exists with other settings",
          advice: "run 'baton lab down' first, or name another folder")
      }
      record.settings.programs = settings.programs
    }
  }
}

/// Counts steps and tells of each before it is taken and of the last when it is done.
final class Steps {
  private let total: Int
  private let report: (LabProgress) -> Void
  private var done = 0

  init(total: Int, report: @escaping (LabProgress) -> Void) {
    self.total = total
    self.report = report
  }

  func take(_ step: String, _ body: () async throws -> Void) async throws {
    report(LabProgress(step: step, done: done, total: total))
    try await body()
    done += 1
    if done == total { report(LabProgress(step: step, done: done, total: total)) }
  }
}
