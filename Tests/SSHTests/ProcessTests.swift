import Foundation
import SSH
import TestKit
import Testing

@Suite(.timeLimit(.minutes(5)))
struct ProcessTests {
  @Test func talksWithAProgramWhileItRuns() async throws {
    try await SSHDFixture.with { server in
      let process = try await server.connect().start(["sh", "-c", "while read l; do echo \"<$l>\"; done; exit 4"])
      var output = process.stdout.makeAsyncIterator()
      for word in ["one", "two", "three"] {
        try await process.write(Array("\(word)\n".utf8))
        #expect(try await output.next() == Array("<\(word)>\n".utf8))
      }
      try await process.closeInput()
      #expect(try await output.next() == nil)
      #expect(try await process.exit == .exited(4))
    }
  }

  @Test func streamsBesideShortCommands() async throws {
    try await SSHDFixture.with { server in
      let connection = try await server.connect()
      let stream = try await connection.start(["yes", "a line that goes on and on"])
      var output = stream.stdout.makeAsyncIterator()
      var received = 0
      for round in 0..<20 {
        received += try await output.next()?.count ?? 0
        #expect(try await connection.run(["echo", "\(round)"]).stdoutText == "\(round)\n")
      }
      #expect(received > 0)
      await stream.cancel()
      #expect(try await connection.run(["true"]).status.isSuccess)
    }
  }

  @Test func aReaderThatWaitsHoldsTheProgramBackAndLosesNothing() async throws {
    try await SSHDFixture.with { server in
      let connection = try await server.connect()
      let mark = server.folder.path + "/done"
      let script = "head -c 8000000 /dev/zero; touch \(RemoteCommand.quote(mark))"
      let process = try await connection.start(["sh", "-c", script], stdin: [])
      // Other commands go through while the stream's window is full and nobody reads.
      for _ in 0..<10 {
        #expect(try await connection.run(["test", "-e", mark]).status == .exited(1))
      }
      #expect(try await process.stdout.rest().utf8.count == 8_000_000)
      #expect(try await process.exit.isSuccess)
      #expect(try await connection.run(["test", "-e", mark]).status.isSuccess)
    }
  }

  @Test func outputAfterStandardOutputClosedStillCounts() async throws {
    try await SSHDFixture.with { server in
      let connection = try await server.connect()
      let script = "echo out; exec 1>&-; read -r _; echo late >&2; exit 5"
      let process = try await connection.start(["sh", "-c", script])
      var output = process.stdout.makeAsyncIterator()
      #expect(try await output.next() == Array("out\n".utf8))
      // What the server says of the end of standard output comes before its answer to this.
      _ = try await connection.run(["true"])
      try await process.write(Array("go\n".utf8))
      #expect(try await process.stderr.rest() == "late\n")
      #expect(try await process.exit == .exited(5))
    }
  }

  @Test func writingToAProgramThatLeftFails() async throws {
    try await SSHDFixture.with { server in
      let process = try await server.connect().start(["sh", "-c", "exit 6"])
      #expect(try await process.exit == .exited(6))
      let error = try await sshError { try await process.write([1]) }
      #expect(error.code == .inputClosed)
    }
  }

  @Test func lettingAProcessGoEndsIt() async throws {
    var settings = SSHSettings()
    settings.channelLimit = 2
    try await SSHDFixture.with(extraConfig: ["MaxSessions 30"]) { server in
      let connection = try await server.connect(settings)
      for _ in 0..<20 { _ = try await connection.start(["cat"]) }
      #expect(try await connection.run(["true"]).status.isSuccess)
    }
  }

  @Test func closingTheConnectionEndsItsProcesses() async throws {
    try await SSHDFixture.with { server in
      let connection = try await server.connect()
      let process = try await connection.start(["cat"])
      await connection.close()
      #expect(!connection.isOpen)
      #expect(try await sshError { try await process.exit }.code == .closed)
      #expect(try await sshError { try await connection.run(["true"]) }.code == .closed)
    }
  }
}
