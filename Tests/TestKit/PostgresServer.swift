import Dispatch
import Foundation
import Glibc

/// A PostgreSQL cluster of this process alone, in a temporary folder.
///
/// A small shell stands between: it obeys lines on its standard input, and when that ends, because this process let go
/// or died in whatever way, it stops the cluster and removes the folder.
public actor PostgresServer {
  /// The port on 127.0.0.1 and of the Unix socket.
  public nonisolated let port: Int
  /// The folder that holds the data and the Unix socket.
  public nonisolated let folder: String

  private nonisolated let commands: FileHandle
  private nonisolated let replies: FileHandle
  private nonisolated let queue = DispatchQueue(label: "testkit.postgres")

  /// The actor waits for the shell on this queue, never on the cooperative pool.
  public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }
  private nonisolated let executor: WaitingExecutor

  /// Creates and starts a cluster.
  ///
  /// Takes a second or two.
  public static func start() async throws -> PostgresServer {
    let server = try PostgresServer()
    try await server.obey("start")
    return server
  }

  private init() throws {
    executor = WaitingExecutor(queue)
    port = Int(try PortClaim.make())
    folder = try temporaryFolder()
    let input = Pipe()
    let output = Pipe()
    let shell = Process()
    shell.executableURL = URL(fileURLWithPath: "/usr/bin/setsid")
    shell.arguments = ["sh", "-c", keeperScript, "postgres-keeper", folder, "\(port)", try binaryFolder()]
    shell.standardInput = input
    shell.standardOutput = output
    // No other child process may hold the writing end, or the keeper would outlive this process.
    _ = fcntl(input.fileHandleForWriting.fileDescriptor, F_SETFD, FD_CLOEXEC)
    try shell.run()
    commands = input.fileHandleForWriting
    replies = output.fileHandleForReading
  }

  /// A connection string for a database of this cluster.
  public nonisolated func conninfo(database: String) -> String {
    "host=127.0.0.1 port=\(port) user=postgres dbname=\(database)"
  }

  /// Stops the cluster as an administrator would: sessions are told and ended.
  public func stop() throws {
    try obey("stop")
  }

  /// Stops the cluster as a power cut would: no session is told, recovery runs at the next start.
  public func crash() throws {
    try obey("crash")
  }

  /// Starts the cluster after `stop` or `crash`; returns when it takes connections.
  public func resume() throws {
    try obey("start")
  }

  /// Stops and starts the cluster.
  public func restart() throws {
    try obey("stop")
    try obey("start")
  }

  /// Stops the cluster for good and removes its folder.
  public func remove() throws {
    try commands.close()
    // The shell's standard output ends with the shell.
    while let data = try replies.read(upToCount: 4096), !data.isEmpty {}
  }

  private func obey(_ command: String) throws {
    try commands.write(contentsOf: Data("\(command)\n".utf8))
    var line = ""
    while !line.hasSuffix("\n") {
      guard let data = try replies.read(upToCount: 1), !data.isEmpty else { break }
      line += String(decoding: data, as: UTF8.self)
    }
    guard line == "done\n" else {
      let log = FileManager.default.contents(atPath: "\(folder)/log").map { String(decoding: $0, as: UTF8.self) }
      throw PostgresServerError(command: command, log: log ?? "no log in \(folder)")
    }
  }
}

/// The private cluster did not do what it was told.
public struct PostgresServerError: Error, CustomStringConvertible {
  /// What it was told.
  public var command: String
  /// What it and its tools said.
  public var log: String

  /// The command and the log.
  public var description: String { "postgres \(command) failed:\n\(log)" }
}

/// `$1` folder, `$2` port, `$3` folder of PostgreSQL's programs.
///
/// PostgreSQL refuses to run as root, so root hands it to the user `postgres`.
private let keeperScript = """
  folder=$1 port=$2 bin=$3
  trap '' INT TERM HUP
  as=
  if [ "$(id -u)" = 0 ]; then
    chown postgres "$folder"
    as='setpriv --reuid=postgres --regid=postgres --clear-groups'
  fi
  cd "$folder"
  control() { $as "$bin/pg_ctl" -D "$folder/data" -w -t 60 "$@" >>log 2>&1 </dev/null; }
  init() {
    [ -d data ] || $as "$bin/initdb" -D "$folder/data" -A trust -U postgres -N -E UTF8 --locale=C.UTF-8 >>log 2>&1
  }
  settings="-p $port -k $folder -c listen_addresses=127.0.0.1 -c fsync=off -c synchronous_commit=off"
  settings="$settings -c full_page_writes=off -c max_connections=200 -c shared_buffers=32MB -c timezone=UTC"
  settings="$settings -c autovacuum=off -c max_prepared_transactions=8"
  while read -r command; do
    case $command in
      start) init && control -l "$folder/server.log" -o "$settings" start ;;
      stop) control -m fast stop ;;
      crash) control -m immediate stop ;;
    esac
    if [ $? = 0 ]; then echo done; else cat server.log >>log 2>/dev/null; echo failed; fi
  done
  control -m immediate stop
  cd /
  rm -rf "$folder"
  """

/// Runs an actor on a queue of its own, where it may wait.
private final class WaitingExecutor: SerialExecutor {
  private let queue: DispatchQueue

  init(_ queue: DispatchQueue) {
    self.queue = queue
  }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    queue.async { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
  }
}

private func temporaryFolder() throws -> String {
  // Not the user's temporary folder: the path of a Unix socket has room for 107 bytes.
  var template = Array("/tmp/baton-pg-XXXXXX".utf8CString)
  guard mkdtemp(&template) != nil else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
  return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// The newest PostgreSQL of Debian's layout, or the one whose programs are in the search path.
private func binaryFolder() throws -> String {
  let files = FileManager.default
  let debian = "/usr/lib/postgresql"
  let versions = files.fileExists(atPath: debian) ? try files.contentsOfDirectory(atPath: debian) : []
  let newestFirst = versions.compactMap(Int.init).sorted(by: >).map { "\(debian)/\($0)/bin" }
  let searchPath = ProcessInfo.processInfo.environment["PATH"]?.split(separator: ":").map(String.init) ?? []
  guard let found = (newestFirst + searchPath).first(where: { files.isExecutableFile(atPath: "\($0)/initdb") }) else {
    throw PostgresServerError(command: "start", log: "no initdb in \(debian) or PATH: apt-get install postgresql")
  }
  return found
}
