import Foundation
import Glibc

/// A whole testbed on one machine: a database, an object store, nodes, a controller, and what takes nodes away.
///
/// A value without state: what runs is written in the lab's folder, so that any process can look after a lab, also
/// after the one that started it died. Each part can be stopped, broken and started again by itself.
public struct Lab: Sendable {
  /// Where everything is kept.
  public let layout: LabLayout
  let file: LabRecordFile

  /// The lab in `root`, which need not exist yet.
  public init(root: String) {
    layout = LabLayout(root: root)
    file = LabRecordFile(layout: layout)
  }

  /// Whether the folder holds a lab, running or not.
  public var exists: Bool { file.exists }

  /// What the lab was made from.
  public var settings: LabSettings {
    get throws { try file.read().settings }
  }

  /// Its database.
  public var postgres: LabPostgres { LabPostgres(file) }

  /// Its controller.
  public var controller: LabController { LabController(file) }

  /// The node of that name; throws `.unknownNode` when there is none.
  public func node(_ name: String) throws -> LabNode {
    let node = LabNode(name: name, file: file)
    _ = try node.recorded()
    return node
  }

  /// Its nodes, `n1` first.
  public var nodes: [LabNode] {
    get throws { try file.read().nodes.map { LabNode(name: $0.name, file: file) } }
  }

  /// Starts the process that takes nodes away; running, or a lab without one, is success.
  public func startWarden() throws {
    let record = try file.read()
    guard let line = record.settings.programs.warden, let program = line.first else { return }
    if record.warden?.isAlive == true { return }
    let command = Command(program, Array(line.dropFirst()), environment: record.environment(of: "warden"))
    let process = try record.stray("warden") ?? command.startDaemon(log: layout.log(of: "warden"))
    try file.update { record throws(LabError) in record.warden = process }
  }

  /// Ends the process that takes nodes away.
  public func stopWarden() async throws {
    guard let process = try file.read().warden else { return }
    try await process.end(by: [SIGTERM], grace: .seconds(5))
    try file.update { record throws(LabError) in record.warden = nil }
  }

  /// Since when each node's disk holds nothing from before; microseconds since 1970.
  func cleanSince() throws(LabError) -> [String: Int64] {
    Dictionary(try file.read().nodes.map { ($0.name, $0.cleanSince) }) { max($0, $1) }
  }
}

/// The lab's own `batond`.
public struct LabController: Sendable {
  let file: LabRecordFile
  private var layout: LabLayout { file.layout }

  init(_ file: LabRecordFile) { self.file = file }

  /// Where its API is.
  ///
  /// Throws when the lab has no controller or it was never started.
  public var url: String {
    get throws { "http://127.0.0.1:\(try port())" }
  }

  /// Whether its process is there.
  public var isRunning: Bool {
    get throws { try file.read().controller?.process?.isAlive ?? false }
  }

  /// The number of its process; nil when it does not run.
  public var pid: Int32? {
    get throws { try file.read().controller?.process.flatMap { $0.isAlive ? $0.pid : nil } }
  }

  /// Starts the controller and returns when its port accepts connections; running is success.
  ///
  /// Migrates the database first, which a mere restart may skip.
  public func start(migrating: Bool = true) async throws {
    let record = try file.read()
    guard let program = record.settings.programs.controller else { return }
    if record.controller?.process?.isAlive == true { return }
    let port = try port()
    try writeConfiguration(record, port: port)
    let configuration = ["--config", layout.controllerConfiguration]
    if migrating {
      try await Command(program, ["migrate"] + configuration).checked(within: .seconds(180))
      try await sealCredentials(record, program)
    }
    let log = layout.log(of: "batond")
    let command = Command(program, ["serve"] + configuration, environment: record.environment(of: "batond"))
    let process = try record.stray("batond") ?? command.startDaemon(log: log)
    try file.update { record throws(LabError) in record.controller = .init(port: port, process: process) }
    try await Waiting.until(
      "the controller to listen on port \(port)", within: .seconds(60), every: .milliseconds(20), advice: "read \(log)"
    ) {
      guard process.isAlive else {
        let words = (Files.text(log) ?? "").suffix(1500)
        throw LabError(.programFailed, "the controller ended while starting: \(words)", advice: "read \(log)")
      }
      return Ports.accepts("127.0.0.1", port)
    }
  }

  /// Ends it politely, by force after `grace`.
  ///
  /// Stopped is success.
  public func stop(grace: Duration = .seconds(15)) async throws {
    guard let process = try file.read().controller?.process else { return }
    try await process.end(by: [SIGTERM], grace: grace)
    try file.update { record throws(LabError) in record.controller?.process = nil }
  }

  /// Sends it a signal, such as SIGSTOP, and returns at once.
  public func signal(_ number: Int32) throws {
    try file.read().controller?.process?.signal(number)
  }

  /// Kills it without warning and returns when it is gone.
  public func kill() async throws {
    guard let process = try file.read().controller?.process else { return }
    try await process.end(by: [], grace: .zero)
    try file.update { record throws(LabError) in record.controller?.process = nil }
  }

  /// Writes `client.json` with a token of an administrator, unless it is there.
  func writeClientConfiguration() async throws {
    guard let program = try file.read().settings.programs.controller else { return }
    if Files.exists(layout.clientConfiguration) { return }
    let result = try await Command(
      program,
      [
        "token", "create", "--config", layout.controllerConfiguration, "--user", "lab", "--project", "lab", "--role",
        "admin",
      ]
    ).checked()
    let lines = result.output.split(whereSeparator: \.isNewline)
    guard let token = lines.last.map({ $0.trimmingCharacters(in: .whitespaces) }), !token.isEmpty else {
      throw LabError(.programFailed, "\(program) token create printed no token")
    }
    try writeJSON(["url": try url, "token": token], to: layout.clientConfiguration)
  }

  /// Has the credentials of an object store that is not the lab's own sealed, as an administrator would.
  private func sealCredentials(_ record: LabRecord, _ program: String) async throws {
    guard let credentials = record.settings.objectStore?.credentialsFile else { return }
    let configuration = ["--config", layout.controllerConfiguration]
    if !Files.exists(layout.objectStoreKey) { try await Command(program, ["key", "create"] + configuration).checked() }
    try await Command(program, ["credentials", "set", "--file", credentials] + configuration).checked()
  }

  private func port() throws(LabError) -> Int {
    try file.update { record throws(LabError) in
      guard record.settings.programs.controller != nil else {
        throw LabError(.unsupported, "this lab has no controller")
      }
      if let port = record.controller?.port { return port }
      let port = try Ports.free(on: ["127.0.0.1"])
      record.controller = .init(port: port)
      return port
    }
  }

  private func writeConfiguration(_ record: LabRecord, port: Int) throws {
    let configuration = ControllerConfiguration(
      database: try LabPostgres(file).conninfo, listen: .init(host: "127.0.0.1", port: port),
      object_store: record.settings.objectStore?.location ?? "file://\(layout.objects)",
      object_store_key: record.settings.objectStore?.credentialsFile == nil ? nil : layout.objectStoreKey,
      ssh: .init(key_path: layout.sshKey, user: try Account.current().name),
      agent_binary: record.settings.programs.agent, migrations: record.settings.programs.migrations,
      log_level: "info", url: "http://127.0.0.1:\(port)", further: record.settings.controllerSettings ?? [:])
    try writeJSON(configuration, to: layout.controllerConfiguration)
  }

  private func writeJSON(_ value: some Encodable, to path: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try Files.write(String(decoding: try encoder.encode(value), as: UTF8.self) + "\n", to: path, mode: 0o600)
  }
}

/// The form of the controller's settings file, its keys as they are written there.
private struct ControllerConfiguration: Encodable {
  struct Listen: Encodable {
    var host: String
    var port: Int
  }
  struct SSH: Encodable {
    var key_path: String
    var user: String
  }

  var database: String
  var listen: Listen
  var object_store: String
  var object_store_key: String?
  var ssh: SSH
  var agent_binary: String
  var migrations: String
  var log_level: String
  var url: String
  var further: [String: Double]

  private enum CodingKeys: String, CodingKey {
    case database, listen, object_store, object_store_key, ssh, agent_binary, migrations, log_level, url
  }

  private struct FurtherKey: CodingKey {
    var stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }

  func encode(to encoder: any Encoder) throws {
    var keys = encoder.container(keyedBy: CodingKeys.self)
    try keys.encode(database, forKey: .database)
    try keys.encode(listen, forKey: .listen)
    try keys.encode(object_store, forKey: .object_store)
    try keys.encodeIfPresent(object_store_key, forKey: .object_store_key)
    try keys.encode(ssh, forKey: .ssh)
    try keys.encode(agent_binary, forKey: .agent_binary)
    try keys.encode(migrations, forKey: .migrations)
    try keys.encode(log_level, forKey: .log_level)
    try keys.encode(url, forKey: .url)
    var others = encoder.container(keyedBy: FurtherKey.self)
    for (name, value) in further { try others.encode(value, forKey: FurtherKey(stringValue: name)) }
  }
}
