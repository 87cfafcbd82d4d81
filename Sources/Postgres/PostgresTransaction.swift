import Synchronization

/// A transaction lent to a closure.
///
/// Of no use after the closure ended: every call throws `.misuse` then.
public final class PostgresTransaction: SQLExecutor {
  private let connection: PostgresConnection
  private let id: UInt64
  private let ended = Atomic<Bool>(false)

  init(on connection: PostgresConnection, isolation: IsolationLevel, readOnly: Bool) async throws {
    self.connection = connection
    id = try await connection.begin(isolation, readOnly: readOnly)
  }

  var hasEnded: Bool { ended.load(ordering: .acquiring) }

  /// Runs one statement and gives its rows; see `SQLExecutor`.
  ///
  /// When it fails PostgreSQL accepts no other statement in this transaction: let the error out of the closure.
  public func query(_ sql: SQL, timeout: Duration? = nil) async throws -> [Row] {
    try await connection.query(sql, timeout: timeout, in: id)
  }

  /// Runs one statement and gives the number of affected rows; see `query`.
  @discardableResult
  public func execute(_ sql: SQL, timeout: Duration? = nil) async throws -> Int {
    try await connection.execute(sql, timeout: timeout, in: id)
  }

  /// Runs a text of several statements inside the transaction; see `PostgresConnection.executeScript`.
  public func executeScript(_ text: String, timeout: Duration? = nil) async throws {
    try await connection.executeScript(text, timeout: timeout, in: id)
  }

  /// Puts rows into a table by COPY, and gives how many they were; see `PostgresConnection.copy`.
  @discardableResult
  public func copy(
    _ rows: CopyRows, into table: String, columns: [String], timeout: Duration? = nil
  ) async throws -> Int {
    try await connection.copy(rows, into: table, columns: columns, timeout: timeout, in: id)
  }

  func commit() async throws {
    ended.store(true, ordering: .releasing)
    try await connection.commit(id)
  }

  func rollBack() async {
    ended.store(true, ordering: .releasing)
    await connection.rollBack(id)
  }
}

extension PostgresConnection {
  /// Runs `body` in a transaction: commits when it returns, also when its task was cancelled by then, and rolls back
  /// when it throws.
  ///
  /// Throws what `body` throws, and `PostgresError`: `.misuse` when the connection is in a transaction already,
  /// `.transactionAborted` when `body` swallowed the error of a failed statement, `.connectionLost` with the outcome
  /// `.unknown` when the connection broke during COMMIT.
  public nonisolated func withTransaction<Result>(
    isolation: IsolationLevel = .readCommitted, readOnly: Bool = false,
    _ body: (PostgresTransaction) async throws -> Result
  ) async throws -> Result {
    let transaction = try await PostgresTransaction(on: self, isolation: isolation, readOnly: readOnly)
    return try await finish(transaction, body)
  }

  nonisolated func finish<Result>(
    _ transaction: PostgresTransaction, _ body: (PostgresTransaction) async throws -> Result
  ) async throws -> Result {
    let result: Result
    do {
      result = try await body(transaction)
    } catch {
      await transaction.rollBack()
      throw error
    }
    do {
      try await transaction.commit()
    } catch {
      await transaction.rollBack()
      throw error
    }
    return result
  }
}

/// How much concurrent transactions see of each other.
public enum IsolationLevel: String, Sendable {
  /// Each statement sees what was committed before it.
  case readCommitted = "READ COMMITTED"
  /// All statements see what was committed before the first.
  case repeatableRead = "REPEATABLE READ"
  /// As if transactions ran one after the other; some must be run again for that.
  case serializable = "SERIALIZABLE"
}
