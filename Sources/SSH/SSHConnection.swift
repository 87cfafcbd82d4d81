import Dispatch

/// One authenticated session with a server, shared by any number of tasks.
///
/// Commands run side by side on channels of their own, up to `SSHSettings.channelLimit` at once; further ones wait
/// their turn. Closes when it is let go. Cancelling a task that waits here closes its channel, not the connection.
public final class SSHConnection: Sendable {
  /// The server.
  public let endpoint: SSHEndpoint
  let core: SessionCore

  init(core: SessionCore) {
    self.core = core
    endpoint = core.endpoint
  }

  deinit { Self.shut(core) }

  /// Connects, checks the host key against the pinned one, and logs in.
  ///
  /// Throws `SSHError`; `.keyUnsupported` and `.keyUnreadable` before anything is sent, `.hostKeyChanged` before the
  /// user's key is used. Throws `CancellationError` when cancelled; nothing stays open then.
  public static func connect(
    to endpoint: SSHEndpoint, hostKey: HostKey, identity: SSHIdentity, settings: SSHSettings = SSHSettings()
  ) async throws -> SSHConnection {
    try await connect(to: endpoint, hostKey: hostKey, identity: identity, settings: settings, gate: nil)
  }

  static func connect(
    to endpoint: SSHEndpoint, hostKey: HostKey, identity: SSHIdentity, settings: SSHSettings, gate: Gate?
  ) async throws -> SSHConnection {
    let key = try identity.load(for: endpoint)
    let core = SessionCore(endpoint: endpoint, settings: settings)
    core.load.update { $0.isPromised = gate != nil }
    do {
      try await core.connect()
      // A server that says nothing has not taken a place at the gate, so it cannot hold up the others.
      try await gate?.enter()
      defer { gate?.leave() }
      let presented = try await core.handshake(preferring: hostKey.type)
      guard presented == hostKey else {
        let code = SSHError.Code.hostKeyChanged(expected: hostKey.fingerprint, presented: presented.fingerprint)
        throw SSHError(code, endpoint: endpoint)
      }
      try await core.authenticate(key, passphrase: identity.passphrase)
    } catch {
      await core.close(because: SSHError(.closed, endpoint: endpoint))
      throw error
    }
    return SSHConnection(core: core)
  }

  /// Whether the connection is up, as far as is known at this moment.
  public var isOpen: Bool { !core.load.current.isClosed }

  /// Runs a program to its end and returns what it wrote.
  ///
  /// - `argv`: the program and its arguments, quoted for a POSIX login shell.
  /// - `stdin`: all of the program's input.
  /// - `timeout`: limit for the whole command, waiting for a channel included.
  /// - `outputLimit`: the most bytes that either stream may have.
  ///
  /// A program that fails is a result, not an error. Throws `SSHError` when it could not be run to its end
  /// (`.timeout(.exec)`, `.outputLimitExceeded`, `.disconnected`, ...) and `CancellationError`. In these cases its
  /// channel closes: the program loses its input and output, but a program that uses neither goes on.
  /// A server that closes a channel without a status, which OpenSSH never does, counts as `exited(0)`.
  public func run(
    _ argv: [String], stdin: [UInt8] = [], timeout: Duration? = nil, outputLimit: Int = 16 << 20
  ) async throws -> ExecResult {
    let line = try RemoteCommand.line(argv, for: endpoint)
    return try await core.collect(command: Array(line.utf8), input: stdin, limit: outputLimit, timeout: timeout)
  }

  /// Starts a program and returns as soon as it runs; its output is read while it does.
  ///
  /// With `stdin` the program gets these bytes and then the end of input; without, input is open for
  /// `SSHProcess.write`. The channel closes when the process object is let go.
  public func start(_ argv: [String], stdin: [UInt8]? = nil) async throws -> SSHProcess {
    try await start(argv, stdin: stdin, lease: nil)
  }

  func start(_ argv: [String], stdin: [UInt8]?, lease: SessionLease?) async throws -> SSHProcess {
    let line = try RemoteCommand.line(argv, for: endpoint)
    let id = try await core.start(command: Array(line.utf8), input: stdin ?? [], closesInput: stdin != nil)
    return SSHProcess(id: id, connection: self, lease: lease)
  }

  /// Ends the connection and every command on it, which then throws `.closed`.
  ///
  /// Once is enough; more is harmless.
  public func close() async {
    await core.close(because: SSHError(.closed, endpoint: endpoint))
  }

  private static func shut(_ core: SessionCore) {
    core.executor.queue.async {
      core.assumeIsolated { $0.close(because: SSHError(.closed, endpoint: $0.endpoint)) }
    }
  }
}

/// Learns a server's host key, for its first registration.
public enum HostKeyScan {
  /// The key that the server presents now, an ed25519 one if it has any.
  ///
  /// Does not log in.
  ///
  /// Nothing vouches for the answer: show its fingerprint to a person, or fetch it over a network that is trusted.
  /// Throws `SSHError` as `SSHConnection.connect` does, and `CancellationError`.
  public static func fetch(
    _ endpoint: SSHEndpoint, preferring type: String? = nil, settings: SSHSettings = SSHSettings()
  ) async throws -> HostKey {
    let core = SessionCore(endpoint: endpoint, settings: settings)
    let result: Result<HostKey, any Error>
    do {
      try await core.connect()
      result = .success(try await core.handshake(preferring: type))
    } catch {
      result = .failure(error)
    }
    await core.close(because: SSHError(.closed, endpoint: endpoint))
    return try result.get()
  }
}
