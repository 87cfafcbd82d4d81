import Glibc
import SSH
import TestKit
import Testing

extension SSHDFixture {
  func connect(_ settings: SSHSettings = SSHSettings()) async throws -> SSHConnection {
    try await SSHConnection.connect(to: endpoint, hostKey: hostKey, identity: identity, settings: settings)
  }

  func pool(_ settings: SSHSettings = SSHSettings()) -> SSHPool {
    SSHPool(settings: settings) { _ in SSHCredentials(hostKey: self.hostKey, identity: self.identity) }
  }

  /// Uses a session of `pool` once, and returns when the server's part of it has ended, which the pool's did before.
  func closesAnUnusedSession(of pool: SSHPool) async throws {
    let result = try await pool.run(["sh", "-c", "echo $PPID"], on: endpoint)
    try await ProcessEnd.wait(try #require(pid_t(result.stdoutText.filter(\.isNumber))))
  }
}

/// A server that the kernel connects to, and that never says a word.
final class SilentServer {
  let endpoint: SSHEndpoint
  private let descriptor: Int32

  init() throws {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    self.descriptor = descriptor
    var name = sockaddr_in()
    name.sin_family = sa_family_t(AF_INET)
    name.sin_addr.s_addr = inet_addr("127.0.0.1")
    // The kernel's choice: nobody else has it.
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isListening = withUnsafeMutablePointer(to: &name) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, length) == 0 && listen(descriptor, 64) == 0 && getsockname(descriptor, $0, &length) == 0
      }
    }
    endpoint = SSHEndpoint(host: "127.0.0.1", port: UInt16(bigEndian: name.sin_port), user: "nobody")
    try #require(isListening)
  }

  deinit { close(descriptor) }
}

/// The `SSHError` that `body` throws; any other outcome fails the test.
func sshError<R>(
  _ location: SourceLocation = #_sourceLocation, _ body: () async throws -> R
) async throws -> SSHError {
  do {
    _ = try await body()
  } catch let error as SSHError {
    return error
  }
  throw MissingError(location: location)
}

struct MissingError: Error {
  let location: SourceLocation
}

extension SSHProcess.Output {
  /// All that is left, as text.
  func rest() async throws -> String {
    var bytes: [UInt8] = []
    for try await chunk in self { bytes += chunk }
    return String(decoding: bytes, as: UTF8.self)
  }
}
