import Glibc

/// The lab's own PostgreSQL: one cluster, one database `baton`, full durability.
///
/// Trusts whoever reaches its socket, which lies in a folder that only its user may enter; over TCP (127.0.0.1) it
/// asks for the password. Runs as user `postgres` when the lab is root's, since PostgreSQL refuses root.
public struct LabPostgres: Sendable {
  /// The role that owns the database; a superuser of this private cluster.
  public static let user = "baton"
  /// The database.
  public static let database = "baton"

  let file: LabRecordFile
  private var layout: LabLayout { file.layout }

  init(_ file: LabRecordFile) { self.file = file }

  /// How libpq reaches the database over its socket.
  ///
  /// Throws when the cluster was never started.
  public var conninfo: String {
    get throws {
      let place = try recorded()
      return "host=\(place.socketFolder) port=\(place.port) user=\(Self.user) dbname=\(Self.database)"
    }
  }

  /// How libpq reaches the database over TCP, password included.
  ///
  /// Throws when the cluster was never started.
  public var networkConninfo: String {
    get throws {
      let place = try recorded()
      guard let password = Files.text(passwordFile) else { throw Files.failure("read", passwordFile) }
      return "host=127.0.0.1 port=\(place.port) user=\(Self.user) dbname=\(Self.database) password=\(password)"
    }
  }

  /// Whether its server process is there.
  public var isRunning: Bool {
    get throws { try file.read().postgres?.process?.isAlive ?? false }
  }

  /// Starts it and returns when it answers.
  ///
  /// Makes the cluster and the database the first time; running is success.
  public func start() async throws {
    var place = try choosePlace()
    if place.process?.isAlive != true {
      let tools = try PostgresTools.find()
      try await makeCluster(place, tools)
      let record = try file.read()
      place.process =
        try record.stray("postgres")
        ?? tools.server(place, environment: record.environment(of: "postgres"))
        .startDaemon(log: layout.log(of: "postgres"))
      let started = place
      try file.update { record throws(LabError) in record.postgres = started }
    }
    try await waitUntilReady(place)
    try await makeDatabase(place)
  }

  /// Ends it: politely (open connections are cut), then as after a power cut, then by force.
  ///
  /// Stopped is success.
  public func stop() async throws {
    guard let process = try file.read().postgres?.process else { return }
    // SIGINT is its fast shutdown. SIGQUIT still removes its shared memory, which SIGKILL would leave.
    try await process.end(by: [SIGINT, SIGQUIT], grace: .seconds(20))
    try file.update { record throws(LabError) in record.postgres?.process = nil }
  }

  /// Ends it as a crash does: no checkpoint is written, every connection is cut.
  public func crash() async throws {
    guard let process = try file.read().postgres?.process else { return }
    try await process.end(by: [SIGQUIT], grace: .seconds(20))
    try file.update { record throws(LabError) in record.postgres?.process = nil }
  }

  /// Removes what it keeps outside the lab's folder, and its data.
  func remove() throws {
    guard let place = try file.read().postgres else { return }
    try Files.remove(place.socketFolder)
    try Files.remove(place.folder)
  }

  private var passwordFile: String { "\(layout.root)/postgres-password" }

  private func recorded() throws(LabError) -> LabRecord.Postgres {
    guard let place = try file.read().postgres else {
      throw LabError(.unsupported, "the lab in \(layout.root) has no database yet", advice: "run 'baton lab up'")
    }
    return place
  }

  /// The recorded place, or a new one.
  ///
  /// Recorded before it is used, so that `down` finds it after a crash.
  private func choosePlace() throws(LabError) -> LabRecord.Postgres {
    try file.update { record throws(LabError) in
      if let place = record.postgres { return place }
      let port = try Ports.free(on: ["127.0.0.1"])
      // The server's user must be able to reach its folder, which it cannot below a private one such as /root.
      let inside = getuid() != 0 || Self.anyoneReaches(layout.root)
      let folder = inside ? "\(layout.root)/postgres" : "/var/tmp/baton-lab-\(record.id)"
      // The address of a socket holds 107 bytes; the server adds a name and a lock file's ending.
      let fits = "\(folder)/socket/.s.PGSQL.65535.lock".utf8.count <= 107
      let socketFolder = fits ? "\(folder)/socket" : "/tmp/baton-lab-\(record.id)"
      let place = LabRecord.Postgres(folder: folder, socketFolder: socketFolder, port: port)
      record.postgres = place
      return place
    }
  }

  private static func anyoneReaches(_ path: String) -> Bool {
    var prefix = ""
    return path.split(separator: "/").allSatisfy { part in
      prefix += "/" + part
      var status = stat()
      return stat(prefix, &status) == 0 && status.st_mode & S_IXOTH != 0
    }
  }

  private func makeCluster(_ place: LabRecord.Postgres, _ tools: PostgresTools) async throws {
    for folder in [place.folder, place.socketFolder] {
      try Files.makeFolder(folder, mode: 0o700)
      try tools.own(folder)
    }
    let data = "\(place.folder)/data"
    if Files.exists(data) { return }
    if !Files.exists(passwordFile) {
      let password = (0..<4).map { _ in String(UInt64.random(in: 0...UInt64.max), radix: 36) }.joined()
      try Files.write(password, to: passwordFile, mode: 0o600)
    }
    // initdb reads the password as the server's user, who may not enter the lab's folder.
    let handedOver = "\(place.folder)/password"
    try Files.write(Files.text(passwordFile) ?? "", to: handedOver, mode: 0o600)
    try tools.own(handedOver)
    // Made aside and renamed, so that a cluster that exists is complete.
    let unfinished = "\(place.folder)/data.new"
    try Files.remove(unfinished)
    try await tools.command(
      "initdb",
      [
        "--pgdata", unfinished, "--username", Self.user, "--encoding", "UTF8", "--no-locale", "--auth-local", "trust",
        "--auth-host", "scram-sha-256", "--pwfile", handedOver, "--no-instructions", "--no-sync",
      ], folder: place.folder
    ).checked(within: .seconds(180))
    try Files.remove(handedOver)
    guard rename(unfinished, data) == 0 else { throw Files.failure("rename", unfinished) }
  }

  private func waitUntilReady(_ place: LabRecord.Postgres) async throws {
    let tools = try PostgresTools.find()
    let ready = tools.command(
      "pg_isready", ["--quiet", "--host", place.socketFolder, "--port", "\(place.port)", "--username", Self.user],
      folder: place.folder)
    let log = layout.log(of: "postgres")
    try await Waiting.until("PostgreSQL to answer", within: .seconds(120), every: .milliseconds(30)) {
      guard place.process?.isAlive == true else {
        let words = (Files.text(log) ?? "").suffix(1500)
        throw LabError(.programFailed, "PostgreSQL ended while starting: \(words)", advice: "read \(log)")
      }
      return try await ready.run().status == 0
    }
  }

  private func makeDatabase(_ place: LabRecord.Postgres) async throws {
    let tools = try PostgresTools.find()
    let server = ["--host", place.socketFolder, "--port", "\(place.port)", "--username", Self.user]
    let question = "SELECT 1 FROM pg_database WHERE datname = '\(Self.database)'"
    let found = try await tools.command(
      "psql", server + ["--no-psqlrc", "--dbname", "postgres", "-tAc", question], folder: place.folder
    ).checked()
    if found.output.hasPrefix("1") { return }
    try await tools.command("createdb", server + [Self.database], folder: place.folder).checked()
  }
}

/// The programs of PostgreSQL, and the user who may run them.
struct PostgresTools: Sendable {
  var folder: String
  /// nil when this process may run them itself.
  var user: (name: String, id: uid_t, group: gid_t, setpriv: String)?

  /// The newest version installed.
  static func find() throws(LabError) -> PostgresTools {
    let versions = (10...40).reversed().map { "/usr/lib/postgresql/\($0)/bin" }
    guard let folder = versions.first(where: { Files.isExecutable("\($0)/initdb") }) else {
      throw LabError(.missingProgram, "PostgreSQL is not installed", advice: "apt-get install postgresql")
    }
    guard getuid() == 0 else { return PostgresTools(folder: folder) }
    guard let entry = getpwnam("postgres") else {
      throw LabError(
        .missingProgram, "PostgreSQL refuses to run as root and there is no user 'postgres'",
        advice: "apt-get install postgresql-common")
    }
    let setpriv = try Programs.find("setpriv", package: "util-linux")
    return PostgresTools(
      folder: folder, user: ("postgres", entry.pointee.pw_uid, entry.pointee.pw_gid, setpriv))
  }

  /// A tool run by the server's user.
  ///
  /// `folder` is one that this user may enter.
  func command(_ tool: String, _ arguments: [String], environment: [String: String] = [:], folder: String) -> Command {
    let executable = "\(self.folder)/\(tool)"
    guard let user else { return Command(executable, arguments, environment: environment, folder: folder) }
    return Command(
      user.setpriv, ["--reuid=\(user.name)", "--regid=\(user.group)", "--init-groups", executable] + arguments,
      environment: environment, folder: folder)
  }

  /// The server itself.
  ///
  /// Durability stays on: what the lab measures must hold for a real installation.
  func server(_ place: LabRecord.Postgres, environment: [String: String]) -> Command {
    let settings = [
      "listen_addresses=127.0.0.1", "port=\(place.port)", "unix_socket_directories=\(place.socketFolder)",
      "unix_socket_permissions=0700", "max_connections=200", "fsync=on", "synchronous_commit=on",
      "full_page_writes=on", "log_line_prefix=%m [%p] ",
    ]
    return command(
      "postgres", ["-D", "\(place.folder)/data"] + settings.flatMap { ["-c", $0] }, environment: environment,
      folder: place.folder)
  }

  /// Gives a file or folder to the server's user.
  func own(_ path: String) throws(LabError) {
    guard let user else { return }
    guard chown(path, user.id, user.group) == 0 else { throw Files.failure("change the owner of", path) }
  }
}
