/// What a pool needs to open a session.
public struct SSHCredentials: Sendable {
  /// The key the server must show.
  public let hostKey: HostKey
  /// The key to log in with.
  public let identity: SSHIdentity

  /// Puts the two together.
  public init(hostKey: HostKey, identity: SSHIdentity) {
    self.hostKey = hostKey
    self.identity = identity
  }
}

/// Keeps sessions to many servers open and lends them.
///
/// Users of one server share a session as long as it has a place for each of them (`SSHSettings.channelLimit`), then
/// a further session opens. A dead session is replaced at the next use, an unused one closes after
/// `SSHSettings.idleTimeout`. A server that refuses or hangs delays only its own users: handshakes are
/// limited in number because they cost processor time, but waiting for a server to answer takes none of the places.
/// An error is not remembered: the next use tries again.
public final class SSHPool: Sendable {
  private let core: PoolCore

  /// A pool without sessions.
  ///
  /// - `settings`: for each session; without an `idleTimeout` it gets one of five minutes.
  /// - `handshakesAtOnce`: key exchanges and logins that may run side by side.
  /// - `credentials`: asked before each connect, so that a renewed key counts from then on. What it throws, the
  ///   user of the pool gets.
  public init(
    settings: SSHSettings = SSHSettings(), handshakesAtOnce: Int = 16,
    credentials: @escaping @Sendable (SSHEndpoint) async throws -> SSHCredentials
  ) {
    var settings = settings
    settings.idleTimeout = settings.idleTimeout ?? .seconds(300)
    core = PoolCore(settings: settings, gate: Gate(places: handshakesAtOnce), credentials: credentials)
  }

  /// Lends a session, opening one if need be.
  ///
  /// It counts as one channel's place: run or stream one command at a time on it. Others use the same session
  /// meanwhile. Do not close it, and do not keep it.
  ///
  /// Throws what connecting and `body` throw. Cancelling while it connects gives up the place in the line.
  public func withSession<R>(
    to endpoint: SSHEndpoint, _ body: (SSHConnection) async throws -> R
  ) async throws -> R {
    let lease = try await core.acquire(endpoint)
    defer { lease.end() }
    return try await body(lease.connection)
  }

  /// `SSHConnection.run` on a lent session.
  ///
  /// If the server refuses the channel, the command has not run, and is tried once more on a fresh session. After any
  /// other error it may have run, and the caller decides.
  public func run(
    _ argv: [String], on endpoint: SSHEndpoint, stdin: [UInt8] = [], timeout: Duration? = nil,
    outputLimit: Int = 16 << 20
  ) async throws -> ExecResult {
    try await again(on: endpoint) { lease in
      defer { lease.end() }
      return try await lease.connection.run(argv, stdin: stdin, timeout: timeout, outputLimit: outputLimit)
    }
  }

  /// `SSHConnection.start` on a lent session, whose place is taken until the process object is let go.
  public func start(_ argv: [String], on endpoint: SSHEndpoint, stdin: [UInt8]? = nil) async throws -> SSHProcess {
    try await again(on: endpoint) { lease in
      do {
        return try await lease.connection.start(argv, stdin: stdin, lease: lease)
      } catch {
        lease.end()
        throw error
      }
    }
  }

  /// Runs the same command on many servers at once.
  ///
  /// Returns one result for each, in their order; never throws. `timeout` limits the command on each server, not the
  /// connecting. Cancelling makes what is missing fail with `CancellationError`.
  public func fanOut(
    _ argv: [String], on endpoints: [SSHEndpoint], stdin: [UInt8] = [], timeout: Duration? = nil,
    outputLimit: Int = 16 << 20
  ) async -> [Result<ExecResult, any Error>] {
    await withTaskGroup(of: (Int, Result<ExecResult, any Error>).self) { group in
      for (index, endpoint) in endpoints.enumerated() {
        group.addTask {
          do {
            let result = try await self.run(
              argv, on: endpoint, stdin: stdin, timeout: timeout, outputLimit: outputLimit)
            return (index, .success(result))
          } catch {
            return (index, .failure(error))
          }
        }
      }
      var results = [Result<ExecResult, any Error>](repeating: .failure(CancellationError()), count: endpoints.count)
      for await (index, result) in group { results[index] = result }
      return results
    }
  }

  /// Closes the sessions of one server, with every command on them: its node is gone, or its key was renewed.
  public func close(_ endpoint: SSHEndpoint) async {
    await core.close { $0 == endpoint }
  }

  /// Closes all sessions and ends all waiting for one.
  ///
  /// The pool may be used again.
  public func closeAll() async {
    await core.close { _ in true }
  }

  /// Sessions that are open now.
  public var openSessions: Int {
    get async { await core.openSessions }
  }

  private func again<R>(
    on endpoint: SSHEndpoint, _ body: (SessionLease) async throws -> R
  ) async throws -> R {
    do {
      return try await body(try await core.acquire(endpoint))
    } catch let error as SSHError where error.code == .channelFailed {
      return try await body(try await core.acquire(endpoint))
    }
  }
}
