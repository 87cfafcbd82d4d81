import CPQ

/// How a connection is opened and what limits hold on it.
///
/// Applies over what the connection string says.
public struct PostgresOptions: Sendable {
  /// When TCP decides that a silent peer is gone.
  ///
  /// Has no effect on a Unix socket, where the kernel always knows.
  public struct Keepalive: Sendable {
    /// Silence before the first probe.
    public var idleSeconds: Int
    /// Time between probes.
    public var intervalSeconds: Int
    /// Probes without an answer before the connection counts as dead.
    public var count: Int

    /// The defaults notice a dead peer after 25 seconds.
    public init(idleSeconds: Int = 10, intervalSeconds: Int = 5, count: Int = 3) {
      self.idleSeconds = idleSeconds
      self.intervalSeconds = intervalSeconds
      self.count = count
    }
  }

  /// Shown in `pg_stat_activity`.
  public var applicationName: String
  /// The schemas in which names without one are looked up; nil leaves the role's own.
  public var searchPath: [String]?
  /// How long to wait for a connection, DNS excepted.
  public var connectTimeout: Duration
  /// How long this side waits for a statement before it cancels it.
  public var statementTimeout: Duration
  /// How long the server waits (`statement_timeout`); nil leaves the role's own.
  public var serverStatementTimeout: Duration?
  /// How long the server waits for a lock (`lock_timeout`); nil leaves the role's own.
  public var lockTimeout: Duration?
  /// How long the server lets a transaction sit idle before it ends the session
  /// (`idle_in_transaction_session_timeout`); nil leaves the role's own.
  public var idleInTransactionTimeout: Duration?
  /// How long to wait, after a cancel request, before the connection is closed instead.
  public var cancelGrace: Duration
  /// When a silent TCP peer counts as gone.
  public var keepalive: Keepalive
  /// How many prepared statements a connection keeps; the least recently used goes first.
  public var preparedStatementLimit: Int

  /// Options with the given limits.
  public init(
    applicationName: String = "baton", searchPath: [String]? = nil, connectTimeout: Duration = .seconds(10),
    statementTimeout: Duration = .seconds(30), serverStatementTimeout: Duration? = nil, lockTimeout: Duration? = nil,
    idleInTransactionTimeout: Duration? = nil, cancelGrace: Duration = .seconds(5), keepalive: Keepalive = .init(),
    preparedStatementLimit: Int = 256
  ) {
    self.applicationName = applicationName
    self.searchPath = searchPath
    self.connectTimeout = connectTimeout
    self.statementTimeout = statementTimeout
    self.serverStatementTimeout = serverStatementTimeout
    self.lockTimeout = lockTimeout
    self.idleInTransactionTimeout = idleInTransactionTimeout
    self.cancelGrace = cancelGrace
    self.keepalive = keepalive
    self.preparedStatementLimit = preparedStatementLimit
  }

  /// The libpq `options` keyword: server settings sent with the first packet, so they cost no round trip and win over
  /// those of the role and the database.
  ///
  /// What the decoders of this module rely on is among them.
  var serverSettings: String {
    var settings = [
      ("bytea_output", "hex"), ("extra_float_digits", "1"), ("datestyle", "ISO"), ("timezone", "UTC"),
      ("standard_conforming_strings", "on"),
    ]
    if let searchPath {
      settings.append(("search_path", searchPath.map(quotedIdentifier).joined(separator: ",")))
    }
    let timeouts = [
      ("statement_timeout", serverStatementTimeout), ("lock_timeout", lockTimeout),
      ("idle_in_transaction_session_timeout", idleInTransactionTimeout),
    ]
    for (name, timeout) in timeouts {
      if let timeout { settings.append((name, "\(timeout.wholeMilliseconds)")) }
    }
    return settings.map { "-c \($0.0)=\(escapedOption($0.1))" }.joined(separator: " ")
  }

  /// The libpq keywords that override the connection string.
  func keywords(existingOptions: String?) -> [(String, String)] {
    [
      ("application_name", applicationName),
      ("client_encoding", "UTF8"),
      ("options", [existingOptions, serverSettings].compactMap(\.self).joined(separator: " ")),
      ("keepalives", "1"),
      ("keepalives_idle", "\(keepalive.idleSeconds)"),
      ("keepalives_interval", "\(keepalive.intervalSeconds)"),
      ("keepalives_count", "\(keepalive.count)"),
      // Keepalive probes are not sent while data waits for an acknowledgement; this limit covers that case.
      ("tcp_user_timeout", "\(1000 * (keepalive.idleSeconds + keepalive.intervalSeconds * keepalive.count))"),
    ]
  }
}

/// The server splits `options` at white space unless a backslash stands before it.
private func escapedOption(_ value: String) -> String {
  var escaped = String.UnicodeScalarView()
  for scalar in value.unicodeScalars {
    if " \t\n\u{b}\u{c}\r\\".unicodeScalars.contains(scalar) { escaped.append("\\") }
    escaped.append(scalar)
  }
  return String(escaped)
}

extension Duration {
  /// Milliseconds, rounded up so that a short positive wait never becomes none.
  var wholeMilliseconds: Int64 {
    let (seconds, attoseconds) = components
    let perMillisecond: Int64 = 1_000_000_000_000_000
    return seconds * 1000 + (attoseconds + perMillisecond - 1) / perMillisecond
  }
}

extension PostgresOptions {
  /// The `options` keyword of a connection string; throws when libpq cannot parse it.
  static func serverOptions(inConninfo conninfo: String) throws -> String? {
    guard let parsed = PQconninfoParse(conninfo, nil) else {
      // libpq's own words may quote the string, and with it a password.
      throw PostgresError(
        .misuse, message: "the connection string cannot be parsed",
        hint: "expected 'host=... dbname=... user=...' or postgresql://user@host/database")
    }
    defer { PQconninfoFree(parsed) }
    var entry = parsed
    while let keyword = entry.pointee.keyword {
      if String(cString: keyword) == "options" { return entry.pointee.val.map { String(cString: $0) } }
      entry += 1
    }
    return nil
  }
}
