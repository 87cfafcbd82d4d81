public import Foundation
import Glibc
public import SSH
import Synchronization

/// A real `sshd` for one test: an address and port of its own, keys of its own, a folder of its own.
///
/// It runs as whoever runs the test and lets that user in, by the fixture's key only. It ends with the test, and
/// with the test process however that ends.
public final class SSHDFixture: Sendable {
  /// Which host keys the server has.
  public enum HostKeyType: String, Sendable {
    case ed25519
    case ecdsa
    case rsa
  }

  /// A failure to set the server up.
  public struct SetupError: Error, CustomStringConvertible {
    /// What failed, with what it said.
    public let description: String
  }

  /// Where to connect.
  public let endpoint: SSHEndpoint
  /// The server's host key of the first type asked for.
  public let hostKey: HostKey
  /// The user key that the server accepts.
  public let identity: SSHIdentity
  /// A scratch folder, removed with the fixture.
  public let folder: URL
  private let server = Mutex<Server?>(nil)

  private struct Server {
    let supervisor: pid_t
    /// While this end is open the supervisor lets the server live.
    let leash: Int32
  }

  /// Starts a server, runs `body`, and ends the server and every session of it, whatever happens.
  public static func with<R>(
    address: String = "127.0.0.1", hostKeys: [HostKeyType] = [.ed25519], extraConfig: [String] = [],
    _ body: (SSHDFixture) async throws -> R
  ) async throws -> R {
    let fixture = try SSHDFixture(address: address, hostKeys: hostKeys, extraConfig: extraConfig)
    defer { fixture.remove() }
    return try await body(fixture)
  }

  /// Starts a server.
  ///
  /// The caller has to call `remove()`; `with` does it by itself.
  public init(
    address: String = "127.0.0.1", hostKeys: [HostKeyType] = [.ed25519], extraConfig: [String] = []
  ) throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("sshd-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let privateKey = try Self.generateKey("ed25519", in: folder, name: "user_key")
    identity = .file(privateKey)
    try FileManager.default.copyItem(atPath: privateKey + ".pub", toPath: folder.path + "/authorized_keys")
    var keys: [HostKey] = []
    for type in hostKeys {
      let path = try Self.generateKey(type.rawValue, in: folder, name: "host_\(type.rawValue)")
      guard let key = HostKey(try String(contentsOfFile: path + ".pub", encoding: .utf8)) else {
        throw SetupError(description: "ssh-keygen wrote no \(type.rawValue) key")
      }
      keys.append(key)
    }
    guard let first = keys.first else { throw SetupError(description: "a server needs a host key") }
    hostKey = first
    endpoint = SSHEndpoint(host: address, port: try PortClaim.make(on: address), user: NSUserName())
    let lines =
      [
        "ListenAddress \(address):\(endpoint.port)", "PidFile none", "UsePAM no", "StrictModes no",
        "AuthorizedKeysFile \(folder.path)/authorized_keys", "PasswordAuthentication no",
        "KbdInteractiveAuthentication no", "PermitRootLogin yes", "MaxStartups 200:30:300", "LogLevel VERBOSE",
        "PrintMotd no", "UseDNS no",
        // Keeps the tester's own dot files, which bash reads for each command of an sshd, out of the tests.
        "SetEnv HOME=\(folder.path)",
      ] + hostKeys.map { "HostKey \(folder.path)/host_\($0.rawValue)" } + extraConfig
    try lines.joined(separator: "\n").appending("\n")
      .write(toFile: folder.path + "/sshd_config", atomically: true, encoding: .utf8)
    if geteuid() == 0 {
      // Debian's sshd wants its empty directory for privilege separation when it is root.
      try FileManager.default.createDirectory(atPath: "/run/sshd", withIntermediateDirectories: true)
    }
    try start()
  }

  deinit { remove() }

  /// What the server logged so far.
  public var log: String {
    (try? String(contentsOfFile: folder.path + "/sshd.log", encoding: .utf8)) ?? ""
  }

  /// Starts the server, again if it was stopped, on the same port.
  ///
  /// Returns when it listens.
  public func start() throws {
    let config = folder.path + "/sshd_config"
    // sshd says when it listens. The supervisor passes that line on, and ends the server and removes its folder when
    // its own input ends, which it does when this process dies.
    let script = """
      /usr/sbin/sshd -D -e -f "$1" 2>>"$2" & server=$!
      tail -n +1 -f --pid=$server "$2" 2>/dev/null | sed -u -n '/Server listening\\|error:\\|fatal:/p' & 
      read -r _
      kill -9 $server 2>/dev/null
      rm -rf "$3"
      """
    let log = folder.path + "/sshd.log"
    try Data().write(to: URL(fileURLWithPath: log))
    var leash: [Int32] = [-1, -1]
    var report: [Int32] = [-1, -1]
    // Socket pairs, because they alone can be made close-on-exec in one call from Swift.
    let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
    guard socketpair(AF_UNIX, kind, 0, &leash) == 0, socketpair(AF_UNIX, kind, 0, &report) == 0 else {
      throw SetupError(description: "no socket pair: \(String(cString: strerror(errno)))")
    }
    defer {
      close(leash[0])
      close(report[0])
    }
    let supervisor: pid_t
    do {
      defer { close(report[1]) }
      supervisor = try Self.spawn(
        ["/bin/sh", "-c", script, "sh", config, log, folder.path], stdin: leash[0], stdout: report[1])
    } catch {
      close(leash[1])
      throw error
    }
    server.withLock { $0 = Server(supervisor: supervisor, leash: leash[1]) }
    var line: [UInt8] = []
    var byte: UInt8 = 0
    while Glibc.read(report[0], &byte, 1) == 1, byte != 0x0a { line.append(byte) }
    let said = String(decoding: line, as: UTF8.self)
    guard said.contains("Server listening") else {
      stop()
      throw SetupError(description: "sshd does not start: \(said)\n\(self.log)")
    }
  }

  /// Kills the server and all its sessions at once, as a power cut would, but for the closing of the sockets.
  public func stop() {
    guard let server = server.withLock({ $0.take() }) else { return }
    signalAll(of: server, SIGKILL)
    kill(server.supervisor, SIGKILL)
    var status: Int32 = 0
    waitpid(server.supervisor, &status, 0)
    // Last: the supervisor would take it for the end of this process.
    close(server.leash)
  }

  /// Stops every process of the server without closing a socket: a machine that hangs.
  public func freeze() { server.withLock { if let server = $0 { signalAll(of: server, SIGSTOP) } } }

  /// Lets a frozen server go on.
  public func thaw() { server.withLock { if let server = $0 { signalAll(of: server, SIGCONT) } } }

  /// Gives the server another host key, as a reinstalled node would have.
  ///
  /// It counts after `stop` and `start`.
  public func replaceHostKey(_ type: HostKeyType = .ed25519) throws -> HostKey {
    let path = folder.path + "/host_\(type.rawValue)"
    try FileManager.default.removeItem(atPath: path)
    try FileManager.default.removeItem(atPath: path + ".pub")
    _ = try Self.generateKey(type.rawValue, in: folder, name: "host_\(type.rawValue)")
    guard let key = HostKey(try String(contentsOfFile: path + ".pub", encoding: .utf8)) else {
      throw SetupError(description: "ssh-keygen wrote no key")
    }
    return key
  }

  /// A new key pair in the fixture's folder, which the server does not accept.
  ///
  /// Returns the private key's path.
  public func strangerKey(
    _ type: String = "ed25519", passphrase: String = "", format: String? = nil
  ) throws -> String {
    try Self.generateKey(
      type, in: folder, name: "stranger_\(UUID().uuidString)", passphrase: passphrase, format: format)
  }

  /// Lets a key in, beside the fixture's own.
  ///
  /// `path` is the private key's.
  public func authorize(_ path: String) throws {
    let list = folder.path + "/authorized_keys"
    let both =
      try String(contentsOfFile: list, encoding: .utf8) + String(contentsOfFile: path + ".pub", encoding: .utf8)
    try both.write(toFile: list, atomically: true, encoding: .utf8)
  }

  /// Ends the server and removes the folder.
  ///
  /// Once is enough; more is harmless.
  public func remove() {
    stop()
    try? FileManager.default.removeItem(at: folder)
  }

  // MARK: Processes

  private func signalAll(of server: Server, _ signal: Int32) {
    // Twice, because a process may be born during the first look.
    for _ in 0..<2 {
      for pid in Self.descendants(of: server.supervisor) { kill(pid, signal) }
    }
  }

  /// All processes below `root`, found by their parents in /proc.
  private static func descendants(of root: pid_t) -> [pid_t] {
    var children: [pid_t: [pid_t]] = [:]
    for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] {
      guard let pid = pid_t(name), let stat = try? String(contentsOfFile: "/proc/\(name)/stat", encoding: .utf8),
        let fields = stat.split(separator: ")").last?.split(separator: " "), fields.count > 1,
        let parent = pid_t(fields[1])
      else { continue }
      children[parent, default: []].append(pid)
    }
    var found: [pid_t] = []
    var next = children[root] ?? []
    while let pid = next.popLast() {
      found.append(pid)
      next += children[pid] ?? []
    }
    return found
  }

  private static func generateKey(
    _ type: String, in folder: URL, name: String, passphrase: String = "", format: String? = nil
  ) throws -> String {
    let path = folder.path + "/" + name
    let null = open("/dev/null", O_RDWR | O_CLOEXEC)
    defer { close(null) }
    let arguments =
      ["/usr/bin/ssh-keygen", "-q", "-t", type, "-N", passphrase, "-C", "test", "-f", path]
      + (format.map { ["-m", $0] } ?? [])
      // The smallest that OpenSSH takes: a test wants an RSA key, not a strong one.
      + (type == "rsa" ? ["-b", "1024"] : [])
    let pid = try spawn(arguments, stdin: null, stdout: null)
    var status: Int32 = 0
    guard waitpid(pid, &status, 0) == pid, status == 0 else {
      throw SetupError(description: "ssh-keygen -t \(type) failed with status \(status)")
    }
    return path
  }

  private static func spawn(_ arguments: [String], stdin: Int32, stdout: Int32) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, stdin, 0)
    posix_spawn_file_actions_adddup2(&actions, stdout, 1)
    var pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
    defer { for pointer in pointers { free(pointer) } }
    var pid: pid_t = 0
    let code = posix_spawn(&pid, arguments[0], &actions, nil, &pointers, environ)
    guard code == 0 else {
      throw SetupError(description: "cannot start \(arguments[0]): \(String(cString: strerror(code)))")
    }
    return pid
  }
}
