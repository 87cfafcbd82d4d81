import Foundation
import SSH
import TestKit
import Testing

@Suite(.timeLimit(.minutes(5)))
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

  @Test func namesTheSignalThatEndedAProgram() async throws {
    try await SSHDFixture.with { server in
      let result = try await server.connect().run(["sh", "-c", "kill -KILL $$"])
      #expect(result.status == .signalled("KILL"))
    }
  }

  @Test func passesArgumentsUnchanged() async throws {
    let nasty = [
      "", " ", "a b", "'", "''", "\"", "\\", "\\'", "$HOME", "`id`", "$(id)", "!!", "*", "~", "a\nb", "\t", ";", "&&",
      "|", ">x", "#", "-n", "--", "a=b", "{a,b}", "日本語", "\u{1}\u{7f}", "'; rm -rf /; '",
    ]
    try await SSHDFixture.with { server in
      let connection = try await server.connect()
      let result = try await connection.run(["printf", "%s\\0"] + nasty)
      #expect(result.stdoutText == nasty.map { $0 + "\0" }.joined())
      // The first word is no keyword and no assignment either.
      #expect(try await connection.run(["if"]).status == .exited(127))
      #expect(try await connection.run(["A=b"]).status == .exited(127))
    }
  }

  @Test func refusesWhatNoShellCanCarry() async throws {
    let endpoint = SSHEndpoint(host: "h", user: "u")
    for argv in [[], [""], ["a", "b\0c"]] {
      #expect(throws: SSHError.self) { try RemoteCommand.line(argv, for: endpoint) }
    }
  }

  @Test func movesFiveMegabytesBothWaysAtOnce() async throws {
    try await SSHDFixture.with { server in
      let data = (0..<5 << 20).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 11) }
      let connection = try await server.connect()
      let result = try await connection.run(["sh", "-c", "tee /dev/stderr"], stdin: data)
      #expect(result.stdout == data)
      #expect(result.stderr == data)
    }
  }

  @Test func runsManyCommandsAtOnceOnOneSession() async throws {
    try await SSHDFixture.with { server in
      let connection = try await server.connect()
      let results = try await withThrowingTaskGroup(of: (Int, ExecResult).self) { group in
        for index in 0..<40 {
          group.addTask {
            (index, try await connection.run(["sh", "-c", "cat; exit \(index)"], stdin: [UInt8(index)]))
          }
        }
        return try await group.reduce(into: [Int: ExecResult]()) { $0[$1.0] = $1.1 }
      }
      for index in 0..<40 {
        #expect(results[index]?.status == .exited(Int32(index)))
        #expect(results[index]?.stdout == [UInt8(index)])
      }
      #expect(server.log.components(separatedBy: "Accepted publickey").count == 2)
    }
  }

  @Test func survivesKeyExchangesInTheMiddle() async throws {
    try await SSHDFixture.with(extraConfig: ["RekeyLimit 1M"]) { server in
      let connection = try await server.connect()
      let data = [UInt8](repeating: 7, count: 4 << 20)
      try await withThrowingTaskGroup(of: Bool.self) { group in
        for _ in 0..<4 {
          group.addTask { try await connection.run(["cat"], stdin: data).stdout == data }
        }
        for try await isEqual in group { #expect(isEqual) }
      }
    }
  }

  @Test func givesUpAtTheTimeLimitAndGoesOnServing() async throws {
    try await SSHDFixture.with { server in
      let connection = try await server.connect()
      let error = try await sshError { try await connection.run(["sleep", "infinity"], timeout: .milliseconds(200)) }
      #expect(error.code == .timeout(.exec))
      #expect(try await connection.run(["echo", "on"]).stdoutText == "on\n")
    }
  }

  @Test func cutsOffACommandThatWritesTooMuch() async throws {
    try await SSHDFixture.with { server in
      let connection = try await server.connect()
      let error = try await sshError { try await connection.run(["yes"], outputLimit: 10_000) }
      #expect(error.code == .outputLimitExceeded(limit: 10_000))
      let exact = try await connection.run(["head", "-c", "10000", "/dev/zero"], outputLimit: 10_000)
      #expect(exact.stdout.count == 10_000)
    }
  }

  @Test func cancellationClosesTheChannelAndFreesItsPlace() async throws {
    var settings = SSHSettings()
    settings.channelLimit = 1
    try await SSHDFixture.with { server in
      let connection = try await server.connect(settings)
      let process = try await connection.start(["sh", "-c", "echo up; exec cat"])
      var output = process.stdout.makeAsyncIterator()
      #expect(try await output.next() == Array("up\n".utf8))
      let waiting = Task { try await process.exit }
      waiting.cancel()
      await #expect(throws: CancellationError.self) { try await waiting.value }
      // The only place is free again, and was not before.
      #expect(try await connection.run(["echo", "next"]).stdoutText == "next\n")
    }
  }
}
