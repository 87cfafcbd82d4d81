import Domain
import Foundation
import ObjectStorage
import SSH

/// What `batond` is told by its configuration file (JSON).
///
/// Relative paths are relative to that file.
struct Settings: Sendable, Codable {
  /// Where HTTP is served.
  struct Listen: Sendable, Codable {
    /// A loopback address: other interfaces are refused until there is TLS.
    var host: String
    var port: Int
  }

  /// How nodes are reached.
  struct SSH: Sendable, Codable {
    /// Private key file, ed25519 or ECDSA.
    var keyPath: String

    enum CodingKeys: String, CodingKey { case keyPath = "key_path" }
  }

  /// libpq connection string; the password belongs in a `.pgpass` file, not here.
  var database: String
  var listen: Listen
  /// `file:///folder`, `s3://bucket/prefix` or `swift://container/prefix`.
  var objectStore: String
  /// The file with the key that seals the store's credentials; see `SealingKey`.
  var objectStoreKey: String?
  var ssh: SSH
  /// The agent's executable, to be put on nodes.
  var agentBinary: String
  /// Folder of `NNNN_subject.sql`.
  var migrations: String
  /// Where people reach the dashboard.
  var url: String?
  /// `debug`, `info`, `warning`, ...
  var logLevel: String?
  /// How long before its end a lease takes nothing new; seconds.
  var endingLeadSeconds: Double?
  /// How often nodes are probed; seconds.
  var probeIntervalSeconds: Double?
  /// A node that cannot be reached before any rank runs is given up after this; seconds.
  var reachPatienceSeconds: Double?
  /// How long a node may take to take a connection, to greet, and again for each step of the login; four times as long,
  /// a minute at most, it may be silent on a session; seconds.
  var nodeAnswerSeconds: Double?
  /// From staged to the first step, as the planner assumes it; seconds.
  var launchSeconds: Double?
  /// From SIGTERM to the last checkpoint DURABLE, as the planner assumes it until it was measured; seconds.
  var lastSaveSeconds: Double?
  /// A job is HELD after so many attempts in a row that were LOST without a new checkpoint or step.
  var lostAttemptsMost: Int?

  /// How large one object of a data set may be that somebody sends; bytes.
  var objectBytesLimit: Int64?
  /// Below which places of the object store's account data sets may be read in place; nil for all but Baton's own.
  var dataSources: [String]?

  enum CodingKeys: String, CodingKey {
    case database, listen, ssh, migrations, url
    case objectStore = "object_store"
    case objectStoreKey = "object_store_key"
    case agentBinary = "agent_binary"
    case logLevel = "log_level"
    case endingLeadSeconds = "ending_lead_seconds"
    case probeIntervalSeconds = "probe_interval_seconds"
    case reachPatienceSeconds = "reach_patience_seconds"
    case nodeAnswerSeconds = "node_answer_seconds"
    case launchSeconds = "launch_seconds"
    case lastSaveSeconds = "last_save_seconds"
    case lostAttemptsMost = "lost_attempts_most"
    case objectBytesLimit = "object_bytes_most"
    case dataSources = "data_sources"
  }

  /// Reads the file at `path`.
  ///
  /// Throws `SettingsError` with the path, what is wrong, and where.
  static func read(_ path: String) throws -> Settings {
    let data: Data
    do {
      data = try Data(contentsOf: URL(fileURLWithPath: path))
    } catch {
      throw SettingsError(path: path, problem: "it cannot be read: \(error.localizedDescription)")
    }
    var settings: Settings
    do {
      settings = try JSONDecoder().decode(Settings.self, from: data)
    } catch let error as DecodingError {
      throw SettingsError(path: path, problem: Self.explain(error))
    }
    let folder = URL(fileURLWithPath: path).deletingLastPathComponent()
    func resolve(_ path: String) -> String { URL(fileURLWithPath: path, relativeTo: folder).path }
    settings.ssh.keyPath = resolve(settings.ssh.keyPath)
    settings.agentBinary = resolve(settings.agentBinary)
    settings.migrations = resolve(settings.migrations)
    settings.objectStoreKey = settings.objectStoreKey.map(resolve)
    do throws(ObjectStoreLocation.SyntaxError) {
      settings.objectStore = "\(try ObjectStoreLocation(settings.objectStore))"
    } catch {
      throw SettingsError(path: path, problem: "object_store \(error)")
    }
    for source in settings.dataSources ?? [] {
      do throws(ObjectStoreLocation.SyntaxError) {
        _ = try ObjectStoreLocation(source)
      } catch {
        throw SettingsError(path: path, problem: "data_sources \(error)")
      }
    }
    guard ["127.0.0.1", "::1", "localhost"].contains(settings.listen.host) else {
      throw SettingsError(
        path: path,
        problem: "listen.host '\(settings.listen.host)' is not loopback: there is no TLS yet, so put a proxy in front")
    }
    if let problem = settings.numberProblem { throw SettingsError(path: path, problem: problem) }
    return settings
  }

  /// The first number that makes no sense; nil where all do.
  private var numberProblem: String? {
    guard (0...65_535).contains(listen.port) else { return "listen.port \(listen.port) is not a port" }
    let lengths: [(name: CodingKeys, value: Double?, least: Double)] = [
      (.endingLeadSeconds, endingLeadSeconds, 0), (.probeIntervalSeconds, probeIntervalSeconds, 0.1),
      (.reachPatienceSeconds, reachPatienceSeconds, 0), (.nodeAnswerSeconds, nodeAnswerSeconds, 0.1),
      (.launchSeconds, launchSeconds, 0), (.lastSaveSeconds, lastSaveSeconds, 0),
    ]
    for (name, value, least) in lengths {
      guard let value, !(least...86_400).contains(value) else { continue }
      return "\(name.rawValue) is \(value): it has to be from \(least) to 86400"
    }
    if let lostAttemptsMost, !(1...1000).contains(lostAttemptsMost) {
      return "lost_attempts_most is \(lostAttemptsMost): it has to be from 1 to 1000"
    }
    if let objectBytesLimit, objectBytesLimit < 1 {
      return "\(CodingKeys.objectBytesLimit.rawValue) is \(objectBytesLimit): it has to be at least 1"
    }
    return nil
  }

  /// How large one object of a data set may be that somebody sends: 64 GiB, or what the file says.
  var objectBytesMost: Int64 { objectBytesLimit ?? 64 << 30 }

  /// What the planner assumes of a job of which nothing was measured yet.
  var assumed: StartNeeds {
    var needs = StartNeeds()
    if let launchSeconds { needs.launch = .seconds(launchSeconds) }
    if let lastSaveSeconds { needs.lastSave = .seconds(lastSaveSeconds) }
    return needs
  }

  /// Time limits of sessions with nodes.
  var sessions: SSHSettings {
    var sessions = SSHSettings()
    guard let nodeAnswerSeconds else { return sessions }
    let limit = Duration.seconds(nodeAnswerSeconds)
    sessions.connectTimeout = limit
    sessions.handshakeTimeout = limit
    sessions.authenticationTimeout = limit
    sessions.channelOpenTimeout = limit
    sessions.execRequestTimeout = limit
    // Else a node that falls silent while it is asked something is waited for as long as the answer may take.
    sessions.keepaliveInterval = min(sessions.keepaliveInterval, limit)
    return sessions
  }

  static func explain(_ error: DecodingError) -> String {
    func path(_ context: DecodingError.Context) -> String {
      context.codingPath.map(\.stringValue).joined(separator: ".")
    }
    switch error {
    case .keyNotFound(let key, let context):
      let parent = path(context)
      return "'\(parent.isEmpty ? "" : parent + ".")\(key.stringValue)' is missing"
    case .typeMismatch(_, let context), .valueNotFound(_, let context):
      return "'\(path(context))': \(context.debugDescription)"
    case .dataCorrupted(let context):
      return "it is not JSON: \(context.debugDescription)"
    @unknown default:
      return "\(error)"
    }
  }
}

/// Why a configuration file is of no use.
struct SettingsError: Error, CustomStringConvertible {
  let path: String
  let problem: String

  var description: String { "the configuration file '\(path)': \(problem)" }
}
