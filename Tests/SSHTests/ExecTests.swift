import SSH
import TestKit
import Testing

extension SSHDFixture {
  func connect(_ settings: SSHSettings = SSHSettings()) async throws -> SSHConnection {
    try await SSHConnection.connect(to: endpoint, hostKey: hostKey, identity: identity, settings: settings)
  }
}

@Suite(.timeLimit(.minutes(1)))
struct ExecTests {
  @Test func returnsOutputErrorsAndStatus() async throws {
    try await SSHDFixture.with { server in
      let connection = try await server.connect()
      let result = try await connection.run(["sh", "-c", "cat; echo oops >&2; exit 3"], stdin: Array("hello".utf8))
      #expect(result.status == .exited(3))
      #expect(result.stdoutText == "hello")
      #expect(result.stderrText == "oops\n")
    }
  }
}
