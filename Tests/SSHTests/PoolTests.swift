import SSH
import TestKit
import Testing

@Suite(.timeLimit(.minutes(5)))
struct PoolTests {
  @Test func usersOfOneServerShareASession() async throws {
    try await SSHDFixture.with { server in
      let pool = server.pool()
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<8 {
          group.addTask {
            let result = try await pool.withSession(to: server.endpoint) { try await $0.run(["true"]) }
            #expect(result.status.isSuccess)
          }
        }
        try await group.waitForAll()
      }
      #expect(await pool.openSessions == 1)
      await pool.closeAll()
      #expect(await pool.openSessions == 0)
    }
  }

  @Test func followsBeyondOneSessionsPlacesOpenAnother() async throws {
    try await SSHDFixture.with { server in
      let pool = server.pool()
      var follows: [SSHProcess] = []
      for index in 0..<25 {
        let process = try await pool.start(["sh", "-c", "echo \(index); exec cat"], on: server.endpoint)
        var output = process.stdout.makeAsyncIterator()
        #expect(try await output.next() == Array("\(index)\n".utf8))
        follows.append(process)
      }
      #expect(await pool.openSessions == 4)
      #expect(try await pool.run(["echo", "beside"], on: server.endpoint).stdoutText == "beside\n")
      for process in follows {
        try await process.closeInput()
        #expect(try await process.exit.isSuccess)
      }
    }
  }

  @Test func aServerThatGrantsFewerChannelsGetsMoreSessions() async throws {
    try await SSHDFixture.with(extraConfig: ["MaxSessions 2"]) { server in
      let pool = server.pool()
      var follows: [SSHProcess] = []
      for _ in 0..<6 { follows.append(try await pool.start(["cat"], on: server.endpoint)) }
      #expect(try await pool.run(["true"], on: server.endpoint).status.isSuccess)
      withExtendedLifetime(follows) {}
    }
  }

  @Test func replacesASessionThatDied() async throws {
    try await SSHDFixture.with { server in
      let pool = server.pool()
      let follow = try await pool.start(["cat"], on: server.endpoint)
      server.stop()
      // The error tells that the end has been noticed.
      #expect(try await sshError { try await follow.exit }.code == .disconnected)
      try server.start()
      #expect(try await pool.run(["echo", "back"], on: server.endpoint).stdoutText == "back\n")
    }
  }

  @Test func aSessionInUseIsNotIdle() async throws {
    var settings = SSHSettings()
    settings.idleTimeout = .milliseconds(100)
    try await SSHDFixture.with { server in
      try await server.pool(settings).withSession(to: server.endpoint) { connection in
        let process = try await connection.start(["cat"])
        // One that is not in use is opened later, and closes for that.
        try await server.closesAnUnusedSession(of: server.pool(settings))
        #expect(connection.isOpen)
        try await process.closeInput()
        #expect(try await process.exit.isSuccess)
      }
    }
  }

  @Test func anUnusedSessionCloses() async throws {
    var settings = SSHSettings()
    settings.idleTimeout = .milliseconds(100)
    try await SSHDFixture.with { server in
      let pool = server.pool(settings)
      try await server.closesAnUnusedSession(of: pool)
      #expect(await pool.openSessions == 0)
    }
  }

  @Test func fansOutToManyServersWhateverSomeOfThemDo() async throws {
    let silent = try SilentServer()
    let refusing = SSHEndpoint(host: "127.0.0.1", port: try PortClaim.make(), user: "nobody")
    var servers: [SSHDFixture] = []
    defer { for server in servers { server.remove() } }
    for index in 1...16 { servers.append(try SSHDFixture(address: "127.0.1.\(index)")) }
    let keys = Dictionary(uniqueKeysWithValues: servers.map { ($0.endpoint, $0) })
    let first = servers[0]
    var settings = SSHSettings()
    settings.handshakeTimeout = .seconds(2)
    // One place only: a silent server that took it would hold up all others.
    let pool = SSHPool(settings: settings, handshakesAtOnce: 1) { endpoint in
      let server = keys[endpoint] ?? first
      return SSHCredentials(hostKey: server.hostKey, identity: server.identity)
    }
    let endpoints = [silent.endpoint, refusing] + servers.map(\.endpoint)
    for _ in 0..<2 {
      let results = await pool.fanOut(["echo", "hi"], on: endpoints)
      let codes = results.map { result -> SSHError.Code? in
        if case .failure(let error as SSHError) = result { error.code } else { nil }
      }
      #expect(codes.prefix(2) == [.handshakeTimeout, .connectRefused])
      for result in results.dropFirst(2) { #expect(try result.get().stdoutText == "hi\n") }
    }
    #expect(await pool.openSessions == 16)
    withExtendedLifetime(silent) {}
  }

  @Test func aCancelledUserLeavesTheLine() async throws {
    let silent = try SilentServer()
    let endpoint = silent.endpoint
    let key = try #require(HostKey("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"))
    let (asked, ask) = AsyncStream.makeStream(of: Void.self)
    try await SSHDFixture.with { server in
      let pool = SSHPool { _ in
        ask.yield()
        return SSHCredentials(hostKey: key, identity: server.identity)
      }
      let user = Task { try await pool.run(["true"], on: endpoint) }
      for await _ in asked { break }
      user.cancel()
      await #expect(throws: CancellationError.self) { try await user.value }
    }
    withExtendedLifetime(silent) {}
  }
}
