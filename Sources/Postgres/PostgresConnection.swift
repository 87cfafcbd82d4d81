import Dispatch

/// A session with a PostgreSQL server.
///
/// Statements run one after the other in the order in which they come, on a private queue where libpq may block; the
/// cooperative pool never does. Cancelling the task of a statement asks the server to stop it. After the connection
/// broke every call throws `.connectionLost`; a connection never re-connects by itself, `PostgresPool` does.
public actor PostgresConnection: SQLExecutor {
  private nonisolated let executor: QueueExecutor
  private nonisolated let wake: WakeSignal
  private nonisolated let options: PostgresOptions
  private let session: LibPQSession
  private var statements: StatementCache
  private var watch: SocketWatch?
  private var brokenWaiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
  private var notificationHandler: (@Sendable (PostgresNotification) -> Void)?
  private var nextID: UInt64 = 0
  private var openTransaction: UInt64?
  private var heldLocks: [Int64: Int] = [:]

  /// The private queue.
  public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

  private init(options: PostgresOptions) {
    executor = QueueExecutor(label: "baton.postgres.\(options.applicationName)")
    wake = WakeSignal()
    self.options = options
    session = LibPQSession(wake: wake, cancelGrace: options.cancelGrace)
    statements = StatementCache(limit: options.preparedStatementLimit)
  }

  /// Opens a session.
  ///
  /// `conninfo` is libpq's, `host=... dbname=...` or `postgresql://...`.
  ///
  /// Throws `PostgresError` when there is no session to be had, `CancellationError` when the task was cancelled. Does
  /// not try twice.
  public static func connect(_ conninfo: String, options: PostgresOptions = .init()) async throws -> PostgresConnection
  {
    let connection = PostgresConnection(options: options)
    try await connection.open(conninfo)
    return connection
  }

  private func open(_ conninfo: String) async throws {
    let existing = try PostgresOptions.serverOptions(inConninfo: conninfo)
    let keywords = [("dbname", conninfo)] + options.keywords(existingOptions: existing)
    try await limited(by: options.connectTimeout) { try $0.session.open(keywords: keywords, limits: $1) }
  }

  // MARK: Statements

  /// Runs one statement and gives its rows; see `SQLExecutor`.
  public func query(_ sql: SQL, timeout: Duration? = nil) async throws -> [Row] {
    try await run(sql, timeout: timeout).table().rows
  }

  /// Runs one statement and gives the number of affected rows; see `SQLExecutor`.
  @discardableResult
  public func execute(_ sql: SQL, timeout: Duration? = nil) async throws -> Int {
    try await run(sql, timeout: timeout).affectedRows
  }

  /// Puts rows into a table by COPY, and gives how many they were.
  ///
  /// The way for thousands of rows: nothing is parsed or planned for each. Either all are in or none. Throws as
  /// `query` does, and `.misuse` where a row was begun and not ended; `columns` are those of each row, in its order.
  @discardableResult
  public func copy(
    _ rows: CopyRows, into table: String, columns: [String], timeout: Duration? = nil
  ) async throws -> Int {
    let names = columns.map(quotedIdentifier).joined(separator: ", ")
    let text = "COPY \(quotedIdentifier(table)) (\(names)) FROM STDIN"
    try refuseNUL(in: text)
    guard rows.isWhole else { throw PostgresError(.misuse, message: "the last row was not ended", statement: text) }
    guard rows.count > 0 else { return 0 }
    return try await limited(by: timeout ?? options.statementTimeout) {
      try $0.session.copyIn(text, data: rows.bytes, $1)?.affectedRows ?? 0
    }
  }

  /// Runs a text of several statements, such as a migration, by the simple protocol.
  ///
  /// All of them are one transaction unless the text says otherwise. The text is sent as it is: never build it from
  /// outside values. Throws the error of the first statement that failed, with its `line` in the text; a transaction
  /// that the text left open is rolled back, and leaving one open is `.misuse`.
  public func executeScript(_ text: String, timeout: Duration? = nil) async throws {
    try refuseNUL(in: text)
    let inherited = session.transactionStatus
    do {
      try await limited(by: timeout ?? options.statementTimeout) { _ = try $0.session.executeScript(text, $1) }
    } catch {
      if inherited == .idle { rollBackLeftovers() }
      throw error
    }
    if inherited == .idle, session.transactionStatus != .idle {
      rollBackLeftovers()
      throw PostgresError(.misuse, message: "the script left a transaction open; it was rolled back", statement: text)
    }
  }

  /// Has the server parse and plan a statement without running it, and gives what it says about it.
  public func prepare(_ sql: SQL) async throws -> StatementDescription {
    let text = sql.text
    try refuseNUL(in: text)
    return try await limited(by: options.statementTimeout) { connection, limits in
      // The unnamed statement: replaced by the next, so it needs no clean-up.
      try connection.session.prepare(name: "", text: text, limits)
      return try connection.session.describe(name: "", text: text, limits)
    }
  }

  private func run(_ sql: SQL, timeout: Duration?) async throws -> LibPQResult {
    let text = sql.text
    try refuseNUL(in: text)
    for (index, bind) in sql.binds.enumerated() where bind?.utf8.contains(0) == true {
      throw PostgresError(
        .invalidBind, message: "the value of $\(index + 1) holds U+0000, which PostgreSQL text cannot",
        hint: "store it as bytea", statement: text)
    }
    guard sql.binds.count <= 65535 else {
      throw PostgresError(
        .invalidBind, message: "\(sql.binds.count) parameters, PostgreSQL takes 65535 at most",
        hint: "bind an array and unnest it", statement: text)
    }
    return try await limited(by: timeout ?? options.statementTimeout) {
      try $0.runPrepared(text, binds: sql.binds, $1)
    }
  }

  private func refuseNUL(in text: String) throws {
    guard text.utf8.contains(0) else { return }
    throw PostgresError(.invalidBind, message: "the statement's text holds U+0000", statement: text)
  }

  private func runPrepared(_ text: String, binds: [String?], _ limits: LibPQSession.Limits) throws -> LibPQResult {
    let wasIdle = session.transactionStatus == .idle
    do {
      return try runOnce(text, binds: binds, limits)
    } catch let error as PostgresError where isStale(error) {
      statements.remove(text)
      // Nothing ran, so outside a transaction it is safe to run it now. Inside, the transaction is lost.
      if wasIdle { return try runOnce(text, binds: binds, limits) }
      var error = error
      error.code = .stalePlan
      error.hint = "the schema changed under a prepared statement; run the transaction again"
      throw error
    }
  }

  private func runOnce(_ text: String, binds: [String?], _ limits: LibPQSession.Limits) throws -> LibPQResult {
    if let name = statements.name(for: text) {
      return try session.executePrepared(name: name, text: text, binds: binds, limits)
    }
    try forgetEvictedStatements(limits)
    let name = statements.newName()
    try session.prepare(name: name, text: text, limits)
    statements.insert(name, for: text)
    return try session.executePrepared(name: name, text: text, binds: binds, limits)
  }

  /// Only outside transactions: DISCARD may have taken a name along, and its error must not fail a transaction.
  private func forgetEvictedStatements(_ limits: LibPQSession.Limits) throws {
    guard session.transactionStatus == .idle else { return }
    for name in statements.takeEvicted() {
      do {
        _ = try session.executeScript("DEALLOCATE \(name)", limits, outcomeWhenLost: .notExecuted)
      } catch let error as PostgresError where error.sqlState == PostgresError.undefinedPreparedStatement {
        continue
      }
    }
  }

  /// "cached plan must not change result type" (told by the routine, because messages are translated), or a prepared
  /// statement that a DISCARD or DEALLOCATE took away.
  private func isStale(_ error: PostgresError) -> Bool {
    (error.sqlState == "0A000" && error.serverRoutine == "RevalidateCachedQuery")
      || error.sqlState == PostgresError.undefinedPreparedStatement
  }

  /// Runs `body` under a time limit and the task's cancellation, then hands on what the server sent beside it.
  private func limited<T>(
    by timeout: Duration, _ body: (isolated PostgresConnection, LibPQSession.Limits) throws -> T
  ) async throws -> T {
    let cancel = CancelFlag(wake: wake)
    defer { noticeChanges() }
    return try await withTaskCancellationHandler {
      try body(self, LibPQSession.Limits(deadline: .now + timeout, cancel: cancel))
    } onCancel: {
      cancel.raise()
    }
  }

  // MARK: Transactions

  /// Starts a transaction and gives the number that its statements must show.
  func begin(_ isolation: IsolationLevel, readOnly: Bool) async throws -> UInt64 {
    guard openTransaction == nil, session.transactionStatus != .open, session.transactionStatus != .failed else {
      throw PostgresError(
        .misuse, message: "this connection is in a transaction already", hint: "pass the transaction along instead")
    }
    let text = "BEGIN ISOLATION LEVEL \(isolation.rawValue)\(readOnly ? " READ ONLY" : "")"
    try await limited(by: options.statementTimeout) {
      try $0.forgetEvictedStatements($1)
      // A transaction that was never used has no effect, whatever became of its BEGIN.
      _ = try $0.session.executeScript(text, $1, outcomeWhenLost: .notExecuted)
    }
    nextID += 1
    openTransaction = nextID
    return nextID
  }

  func query(_ sql: SQL, timeout: Duration?, in transaction: UInt64) async throws -> [Row] {
    try check(transaction)
    return try await query(sql, timeout: timeout)
  }

  func execute(_ sql: SQL, timeout: Duration?, in transaction: UInt64) async throws -> Int {
    try check(transaction)
    return try await execute(sql, timeout: timeout)
  }

  func executeScript(_ text: String, timeout: Duration?, in transaction: UInt64) async throws {
    try check(transaction)
    try await executeScript(text, timeout: timeout)
  }

  func copy(
    _ rows: CopyRows, into table: String, columns: [String], timeout: Duration?, in transaction: UInt64
  ) async throws -> Int {
    try check(transaction)
    return try await copy(rows, into: table, columns: columns, timeout: timeout)
  }

  private func check(_ transaction: UInt64) throws {
    guard openTransaction != transaction else { return }
    throw PostgresError(
      .misuse, message: "this transaction has ended", hint: "do not let it leave the closure it was lent to")
  }

  /// Commits, whatever became of the task meanwhile: the outcome must be known.
  func commit(_ transaction: UInt64) throws {
    defer { noticeChanges() }
    try check(transaction)
    openTransaction = nil
    switch session.transactionStatus {
    case .open, .failed: break
    case .unknown:
      throw PostgresError(.connectionLost, message: session.brokenBecause?.message ?? "the connection is gone")
    case .idle:
      throw PostgresError(
        .misuse, outcome: .unknown, message: "the transaction was ended by a statement inside it",
        hint: "return from the closure to commit, throw to roll back")
    }
    let result = try session.executeScript("COMMIT", unstoppable)
    guard result?.commandTag != "ROLLBACK" else {
      throw PostgresError(
        .transactionAborted, message: "rolled back: a statement in the transaction had failed",
        hint: "let the error of that statement out of the closure", statement: "COMMIT")
    }
  }

  /// Rolls back; see `rollBackLeftovers`.
  func rollBack(_ transaction: UInt64) {
    guard openTransaction == transaction else { return }
    openTransaction = nil
    rollBackLeftovers()
  }

  /// Rolls back what is open.
  ///
  /// Does not throw, and so hides no error that came before: a connection that cannot is closed, upon which the server
  /// rolls back.
  private func rollBackLeftovers() {
    guard session.transactionStatus == .open || session.transactionStatus == .failed else { return }
    do {
      _ = try session.executeScript("ROLLBACK", unstoppable, outcomeWhenLost: .notExecuted)
    } catch {
      close(because: "a transaction could not be rolled back: \(error)")
    }
  }

  /// For statements that must end even when their task is cancelled.
  private var unstoppable: LibPQSession.Limits {
    LibPQSession.Limits(deadline: .now + options.statementTimeout, cancel: nil)
  }

  // MARK: Session advisory locks

  /// Takes a session advisory lock if nobody else has it; true when this session has it now.
  ///
  /// The session keeps it until `advisoryUnlock` or its end; await `waitUntilBroken()` to learn of the latter. Taking
  /// it again needs one more unlock.
  public func tryAdvisoryLock(_ key: Int64) async throws -> Bool {
    let rows = try await query("SELECT pg_try_advisory_lock(\(key)) AS locked")
    guard let row = rows.first, try row.get("locked", as: Bool.self) else { return false }
    heldLocks[key, default: 0] += 1
    return true
  }

  /// Gives a session advisory lock back; false when this session did not have it.
  @discardableResult
  public func advisoryUnlock(_ key: Int64) async throws -> Bool {
    let rows = try await query("SELECT pg_advisory_unlock(\(key)) AS unlocked")
    guard let row = rows.first, try row.get("unlocked", as: Bool.self) else { return false }
    heldLocks[key] = heldLocks[key].flatMap { $0 > 1 ? $0 - 1 : nil }
    return true
  }

  // MARK: Life and death

  /// Whether the connection can take a statement.
  ///
  /// Looks at the socket, sends nothing; a peer that vanished silently shows only when the keepalives have failed.
  public var isAlive: Bool {
    let alive = session.checkIdle()
    noticeChanges()
    return alive
  }

  /// The process id of the server's side, as in `pg_stat_activity` and `pg_locks`.
  public var backendPID: Int32 { session.backendPID }

  /// Returns as soon as the connection is known to be broken or closed, also while nothing is asked of it.
  ///
  /// Throws `CancellationError` when the task is cancelled first.
  public func waitUntilBroken() async throws {
    startWatching()
    nextID += 1
    let id = nextID
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        if session.isBroken || Task.isCancelled {
          continuation.resume()
        } else {
          brokenWaiters[id] = continuation
        }
      }
    } onCancel: {
      Task { await self.stopWaiting(id) }
    }
    if !session.isBroken { throw CancellationError() }
  }

  private func stopWaiting(_ id: UInt64) {
    brokenWaiters.removeValue(forKey: id)?.resume()
  }

  /// Ends the session; the server rolls back what is open and frees its locks.
  ///
  /// Harmless when repeated.
  public func close() {
    close(because: "closed by this program")
  }

  private func close(because reason: String) {
    session.close(because: PostgresError(.closed, message: reason))
    noticeChanges()
  }

  /// Makes a lent connection fit for the next borrower; false when it must be thrown away.
  func readyForReuse() -> Bool {
    defer { noticeChanges() }
    guard openTransaction == nil, session.transactionStatus == .idle else { return false }
    if !heldLocks.isEmpty {
      do {
        _ = try session.executeScript("SELECT pg_advisory_unlock_all()", unstoppable, outcomeWhenLost: .notExecuted)
        heldLocks = [:]
      } catch {
        return false
      }
    }
    return session.checkIdle()
  }

  // MARK: What the server sends unasked

  /// Has notifications of the channels this session listens to handed to `handler`, on the private queue.
  func onNotification(_ handler: @escaping @Sendable (PostgresNotification) -> Void) {
    notificationHandler = handler
    startWatching()
    noticeChanges()
  }

  private func startWatching() {
    guard watch == nil, !session.isBroken else { return }
    watch = SocketWatch(session.descriptor, queue: executor.queue) { [weak self] in
      self?.assumeIsolated { connection in
        _ = connection.session.checkIdle()
        connection.noticeChanges()
      }
    }
    // Whoever waits for its end would wait for ever, and go on with a lock that others have by then.
    if watch == nil { close(because: "there is no file descriptor left to watch it with") }
  }

  /// Hands on notifications, and tells those who wait for it when the connection broke.
  private func noticeChanges() {
    if let notificationHandler {
      session.takeNotifications().forEach(notificationHandler)
    }
    guard session.isBroken else { return }
    watch = nil
    let waiters = brokenWaiters.values
    brokenWaiters = [:]
    for waiter in waiters { waiter.resume() }
  }
}
