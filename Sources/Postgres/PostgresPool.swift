import Dispatch
import Synchronization

/// A bounded set of connections, opened when needed and lent one borrower at a time.
///
/// Who waits is served in the order of arrival. A connection that broke while idle is replaced before anything is sent
/// on it, so after a restart of the server the next call works. A statement that was under way when its connection
/// broke is never sent again: it throws `.connectionLost` with the outcome `.unknown`.
public final class PostgresPool: SQLExecutor {
  /// How many connections there may be and how long a borrower waits.
  public struct Limits: Sendable {
    /// The most connections at a time.
    public var connections: Int
    /// How long a borrower waits for a connection, its opening and all new tries included.
    ///
    /// A try that was begun in time may take `PostgresOptions.connectTimeout` longer.
    public var acquireTimeout: Duration

    /// Limits for one process.
    public init(connections: Int = 8, acquireTimeout: Duration = .seconds(30)) {
      self.connections = connections
      self.acquireTimeout = acquireTimeout
    }
  }

  /// How many connections are lent and idle and how many borrowers wait.
  public struct Usage: Sendable, Hashable {
    /// Connections in use or being opened.
    public var lent: Int
    /// Connections kept open for the next borrower.
    public var idle: Int
    /// Borrowers in line.
    public var waiting: Int
  }

  private typealias Waiter = CheckedContinuation<PostgresConnection?, any Error>

  private struct Guarded {
    var pool: PoolState<PostgresConnection, Waiter>
    /// Borrowers that gave up before they stood in line.
    var abandoned: Set<UInt64> = []
    var nextID: UInt64 = 0
  }

  private let conninfo: String
  private let options: PostgresOptions
  private let limits: Limits
  private let backoff: Backoff
  private let state: Mutex<Guarded>

  /// The transaction that the current task runs in, if it is one of a pool.
  @TaskLocal private static var surrounding: Surrounding?

  private struct Surrounding: Sendable {
    let pool: ObjectIdentifier
    let transaction: PostgresTransaction
  }

  /// A pool that opens no connection before the first call.
  ///
  /// `backoff` spaces the tries to connect, and to run a transaction again.
  public init(
    _ conninfo: String, options: PostgresOptions = .init(), limits: Limits = .init(), backoff: Backoff = .init()
  ) {
    self.conninfo = conninfo
    self.options = options
    self.limits = limits
    self.backoff = backoff
    state = Mutex(Guarded(pool: PoolState(limit: limits.connections)))
  }

  /// What the pool is doing.
  public var usage: Usage {
    let counts = state.withLock { $0.pool.counts }
    return Usage(lent: counts.lent, idle: counts.idle, waiting: counts.waiting)
  }

  // MARK: Borrowing

  /// Lends a connection to `body`, which must not keep it and should not borrow a second one: borrowers that each hold
  /// one and wait for another wait until `acquireTimeout`.
  ///
  /// Throws what `body` throws; `.poolTimeout` when all connections stayed in use, `.cannotConnect` and its like when
  /// none could be opened in time, `.closed`, and `CancellationError` when the task was cancelled while it waited. A
  /// connection that comes back inside a transaction is thrown away, and its session advisory locks are freed.
  public func withConnection<Result>(
    _ body: (PostgresConnection) async throws -> Result
  ) async throws -> Result {
    let connection = try await borrow()
    return try await lend(connection, body)
  }

  private func lend<Result>(
    _ connection: PostgresConnection, _ body: (PostgresConnection) async throws -> Result
  ) async throws -> Result {
    do {
      let result = try await body(connection)
      await giveBack(connection)
      return result
    } catch {
      await giveBack(connection)
      throw error
    }
  }

  /// Lends a transaction to `body`: commits when it returns, rolls back when it throws.
  ///
  /// `retries` is how often the whole of `body` runs again, in a new transaction, after an error that
  /// `PostgresError.isRetryable` names: only for a `body` whose effects are all in the database. An unknown outcome is
  /// never retried. Throws as `withConnection` and `PostgresConnection.withTransaction` do; and `.misuse` in another
  /// transaction of this pool, where it would wait for itself: pass that transaction along instead.
  public func withTransaction<Result>(
    isolation: IsolationLevel = .readCommitted, readOnly: Bool = false, retries: Int = 0,
    _ body: (PostgresTransaction) async throws -> Result
  ) async throws -> Result {
    if let outer = PostgresPool.surrounding, outer.pool == ObjectIdentifier(self), !outer.transaction.hasEnded {
      throw PostgresError(
        .misuse, message: "a transaction inside a transaction of the same pool",
        hint: "pass the outer transaction along")
    }
    var failures = 0
    while true {
      do {
        return try await withOneTransaction(isolation, readOnly, body)
      } catch let error as PostgresError where error.isRetryable && failures < retries {
        failures += 1
        try await backoff.wait(backoff.delay(afterFailures: failures))
      }
    }
  }

  private func withOneTransaction<Result>(
    _ isolation: IsolationLevel, _ readOnly: Bool, _ body: (PostgresTransaction) async throws -> Result
  ) async throws -> Result {
    let (connection, transaction) = try await begin(isolation, readOnly)
    return try await lend(connection) { connection in
      let surrounding = Surrounding(pool: ObjectIdentifier(self), transaction: transaction)
      return try await PostgresPool.$surrounding.withValue(surrounding) {
        try await connection.finish(transaction, body)
      }
    }
  }

  /// A connection that broke just now shows at BEGIN, which may safely be sent again on another.
  private func begin(
    _ isolation: IsolationLevel, _ readOnly: Bool
  ) async throws -> (PostgresConnection, PostgresTransaction) {
    let deadline = ContinuousClock.now + limits.acquireTimeout
    while true {
      let connection = try await borrow()
      do {
        return (connection, try await PostgresTransaction(on: connection, isolation: isolation, readOnly: readOnly))
      } catch {
        await giveBack(connection)
        let isBreak = (error as? PostgresError)?.code == .connectionLost
        guard isBreak, ContinuousClock.now < deadline else { throw error }
      }
    }
  }

  /// Runs one statement on a connection of the pool; see `SQLExecutor`.
  public func query(_ sql: SQL, timeout: Duration? = nil) async throws -> [Row] {
    try await withConnection { try await $0.query(sql, timeout: timeout) }
  }

  /// Runs one statement on a connection of the pool; see `SQLExecutor`.
  @discardableResult
  public func execute(_ sql: SQL, timeout: Duration? = nil) async throws -> Int {
    try await withConnection { try await $0.execute(sql, timeout: timeout) }
  }

  /// Closes what is idle at once and what is lent when it comes back; refuses everybody from now on.
  public func close() async {
    let (waiters, connections) = state.withLock { $0.pool.close() }
    for waiter in waiters { waiter.resume(throwing: PostgresPool.closedError) }
    for connection in connections { await connection.close() }
  }

  // MARK: Permits

  private static let closedError = PostgresError(.closed, message: "the pool is closed")

  private func borrow() async throws -> PostgresConnection {
    let deadline = ContinuousClock.now + limits.acquireTimeout
    let idle = try await permit()
    do {
      if let idle {
        if await idle.isAlive { return idle }
        await idle.close()
      }
      return try await open(before: deadline)
    } catch {
      returnPermit(with: nil)
      throw error
    }
  }

  private func open(before deadline: ContinuousClock.Instant) async throws -> PostgresConnection {
    var failures = 0
    while true {
      do {
        return try await PostgresConnection.connect(conninfo, options: options)
      } catch let error as PostgresError where error.isWorthReconnecting {
        failures += 1
        let delay = backoff.delay(afterFailures: failures)
        let isClosed = state.withLock { $0.pool.isClosed }
        guard !isClosed, ContinuousClock.now + delay < deadline else { throw error }
        try await backoff.wait(delay)
      }
    }
  }

  private func giveBack(_ connection: PostgresConnection) async {
    if await connection.readyForReuse() {
      if let surplus = returnPermit(with: connection) { await surplus.close() }
    } else {
      await connection.close()
      returnPermit(with: nil)
    }
  }

  @discardableResult
  private func returnPermit(with connection: PostgresConnection?) -> PostgresConnection? {
    let returned = state.withLock { $0.pool.giveBack(connection) }
    if let (waiter, connection) = returned.next { waiter.resume(returning: connection) }
    return returned.surplus
  }

  /// Waits in line for a permit; gives the idle connection that goes with it, if any.
  private func permit() async throws -> PostgresConnection? {
    try Task.checkCancellation()
    let id = state.withLock { guarded in
      guarded.nextID += 1
      return guarded.nextID
    }
    let timer = DispatchWorkItem { [self] in
      let message = "all \(limits.connections) connections stayed in use for \(limits.acquireTimeout)"
      let waiter = state.withLock { $0.pool.abandon(id: id) }
      waiter?.resume(throwing: PostgresError(.poolTimeout, message: message, hint: "raise the pool's limit"))
    }
    defer {
      timer.cancel()
      state.withLock { _ = $0.abandoned.remove(id) }
    }
    let wait = DispatchTimeInterval.milliseconds(Int(limits.acquireTimeout.wholeMilliseconds))
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let borrowing = state.withLock { guarded -> PoolState<PostgresConnection, Waiter>.Borrowing? in
          guarded.abandoned.contains(id) ? nil : guarded.pool.borrow(id: id, waiter: continuation)
        }
        switch borrowing {
        case .granted(let idle): continuation.resume(returning: idle)
        case .waits: DispatchQueue.global().asyncAfter(deadline: .now() + wait, execute: timer)
        case .refused: continuation.resume(throwing: PostgresPool.closedError)
        case nil: continuation.resume(throwing: CancellationError())
        }
      }
    } onCancel: {
      let waiter = state.withLock { guarded -> Waiter? in
        let waiter = guarded.pool.abandon(id: id)
        if waiter == nil { guarded.abandoned.insert(id) }
        return waiter
      }
      waiter?.resume(throwing: CancellationError())
    }
  }
}
