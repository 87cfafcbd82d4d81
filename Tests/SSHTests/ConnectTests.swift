import SSH
import TestKit
import Testing

@Suite(.timeLimit(.minutes(5)))
struct ConnectTests {
  @Test func aChangedHostKeyNamesBothFingerprints() async throws {
    try await SSHDFixture.with { server in
      let pinned = try await HostKeyScan.fetch(server.endpoint)
      #expect(pinned == server.hostKey)
      server.stop()
      let replaced = try server.replaceHostKey()
      try server.start()
      let error = try await sshError {
        try await SSHConnection.connect(to: server.endpoint, hostKey: pinned, identity: server.identity)
      }
      #expect(error.code == .hostKeyChanged(expected: pinned.fingerprint, presented: replaced.fingerprint))
      #expect(error.description.contains(pinned.fingerprint))
      #expect(error.description.contains(replaced.fingerprint))
      #expect(!server.log.contains("Accepted publickey"))
    }
  }

  @Test func asksForThePinnedTypeOfHostKey() async throws {
    try await SSHDFixture.with(hostKeys: [.ecdsa, .ed25519]) { server in
      #expect(server.hostKey.type == "ecdsa-sha2-nistp256")
      let scanned = try await HostKeyScan.fetch(server.endpoint)
      #expect(scanned.type == "ssh-ed25519")
      let result = try await server.connect().run(["true"])
      #expect(result.status.isSuccess)
    }
  }

  @Test func aServerWithOnlyAnRSAKeyGetsAnErrorThatSaysSo() async throws {
    try await SSHDFixture.with(hostKeys: [.rsa]) { server in
      let error = try await sshError { try await HostKeyScan.fetch(server.endpoint) }
      #expect(error.code == .hostKeyUnsupported(offered: ["rsa-sha2-512", "rsa-sha2-256"]))
      #expect(error.description.contains("ssh-keygen -A"))
    }
  }

  @Test func refusesAnRSAUserKeyBeforeConnecting() async throws {
    try await SSHDFixture.with { server in
      for format in [[], ["pem"]] {
        let key = try server.strangerKey("rsa", format: format.first)
        let error = try await sshError {
          try await SSHConnection.connect(to: server.endpoint, hostKey: server.hostKey, identity: .file(key))
        }
        #expect(error.code == .keyUnsupported(type: "ssh-rsa"))
        #expect(error.description.contains("ssh-keygen -t ed25519"))
      }
      #expect(!server.log.contains("Connection from"))
    }
  }

  @Test func aStrangersKeyIsRefused() async throws {
    try await SSHDFixture.with { server in
      let identity = SSHIdentity.file(try server.strangerKey())
      let error = try await sshError {
        try await SSHConnection.connect(to: server.endpoint, hostKey: server.hostKey, identity: identity)
      }
      #expect(error.code == .authenticationFailed)
    }
  }

  @Test(arguments: ["ed25519", "ecdsa"], ["", "a passphrase"])
  func logsInWithEveryUsableKey(type: String, passphrase: String) async throws {
    try await SSHDFixture.with { server in
      let path = try server.strangerKey(type, passphrase: passphrase)
      try server.authorize(path)
      let given = passphrase.isEmpty ? nil : passphrase
      let connection = try await SSHConnection.connect(
        to: server.endpoint, hostKey: server.hostKey, identity: .file(path, passphrase: given))
      #expect(try await connection.run(["true"]).status.isSuccess)
      if given != nil {
        let error = try await sshError {
          try await SSHConnection.connect(
            to: server.endpoint, hostKey: server.hostKey, identity: .file(path, passphrase: "wrong"))
        }
        #expect(error.code == .keyUnreadable)
        #expect(!error.description.contains("wrong passphrase"))
      }
    }
  }

  @Test func aKeyThatIsNoneIsUnreadable() async throws {
    let endpoint = SSHEndpoint(host: "127.0.0.1", port: 1, user: "nobody")
    let hostKey = try #require(
      HostKey("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"))
    for identity in [SSHIdentity.file("/nonexistent"), .key(Array("secret".utf8))] {
      let error = try await sshError {
        try await SSHConnection.connect(to: endpoint, hostKey: hostKey, identity: identity)
      }
      #expect(error.code == .keyUnreadable)
      #expect(!error.description.contains("secret") && !"\(identity)".contains("secret"))
    }
  }

  @Test func aClosedPortRefuses() async throws {
    let port = try PortClaim.make()
    let endpoint = SSHEndpoint(host: "127.0.0.1", port: port, user: "nobody")
    #expect(try await sshError { try await HostKeyScan.fetch(endpoint) }.code == .connectRefused)
  }

  @Test func aNameWithoutAnAddressDoesNotResolve() async throws {
    let endpoint = SSHEndpoint(host: "no.such.host.invalid", user: "nobody")
    #expect(try await sshError { try await HostKeyScan.fetch(endpoint) }.code == .resolveFailed)
  }

  @Test func aSilentServerTimesOut() async throws {
    let server = try SilentServer()
    var settings = SSHSettings()
    settings.handshakeTimeout = .milliseconds(200)
    let error = try await sshError { try await HostKeyScan.fetch(server.endpoint, settings: settings) }
    #expect(error.code == .handshakeTimeout)
  }

  @Test func cancellationEndsAConnectAtOnce() async throws {
    let server = try SilentServer()
    let endpoint = server.endpoint
    let task = Task { try await HostKeyScan.fetch(endpoint) }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    withExtendedLifetime(server) {}
  }

  @Test func aServerKilledMidStreamEndsTheStreamWithAnError() async throws {
    try await SSHDFixture.with { server in
      let connection = try await server.connect()
      let process = try await connection.start(["sh", "-c", "echo up; exec sleep infinity"])
      var output = process.stdout.makeAsyncIterator()
      #expect(try await output.next() == Array("up\n".utf8))
      server.stop()
      #expect(try await sshError { try await output.next() }.code == .disconnected)
      #expect(try await sshError { try await process.exit }.code == .disconnected)
      #expect(!connection.isOpen)
    }
  }

  @Test func anIdleConnectionNoticesThatItsServerDied() async throws {
    try await SSHDFixture.with { server in
      let connection = try await server.connect()
      _ = try await connection.run(["true"])
      server.stop()
      #expect(try await sshError { try await connection.run(["true"]) }.code == .disconnected)
    }
  }

  @Test func aFrozenServerIsTakenForDead() async throws {
    var settings = SSHSettings()
    settings.keepaliveInterval = .seconds(2)
    settings.keepaliveMisses = 1
    try await SSHDFixture.with { server in
      try await server.isTakenForDead(settings)
    }
  }

  @Test func aQuietServerThatAnswersIsNotTakenForDead() async throws {
    var settings = SSHSettings()
    settings.keepaliveInterval = .seconds(2)
    settings.keepaliveMisses = 1
    try await SSHDFixture.with { server in
      let process = try await server.connect(settings).start(["cat"])
      // As long as it takes for another to be taken for dead, it says nothing.
      try await SSHDFixture.with { other in
        try await other.isTakenForDead(settings)
      }
      try await process.write(Array("done".utf8))
      try await process.closeInput()
      #expect(try await process.stdout.rest() == "done")
      #expect(try await process.exit.isSuccess)
    }
  }
}

extension SSHDFixture {
  /// Freezes the server in the middle of a session, and returns when that has noticed.
  fileprivate func isTakenForDead(_ settings: SSHSettings) async throws {
    let process = try await connect(settings).start(["sh", "-c", "echo up; exec sleep infinity"])
    var output = process.stdout.makeAsyncIterator()
    _ = try await output.next()
    freeze()
    let error = try await sshError { try await output.next() }
    thaw()
    #expect(error.code == .timeout(.keepalive))
  }
}
