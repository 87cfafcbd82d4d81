/// Something that runs statements: a connection, a transaction, or a pool that lends a connection for each.
///
/// A function that takes `some SQLExecutor` runs inside the caller's transaction or on its own, as the caller decides.
public protocol SQLExecutor: Sendable {
  /// Runs one statement and gives its rows.
  ///
  /// Throws `PostgresError`, and `CancellationError` when the task was cancelled and the statement had no effect. A
  /// statement that finished before the cancel request reached it returns normally. `timeout` nil means the
  /// connection's `statementTimeout`.
  func query(_ sql: SQL, timeout: Duration?) async throws -> [Row]

  /// Runs one statement and gives the number of rows it inserted, changed, deleted or selected; 0 for others.
  ///
  /// Throws as `query` does.
  @discardableResult
  func execute(_ sql: SQL, timeout: Duration?) async throws -> Int
}

extension SQLExecutor {
  /// Runs one statement under the connection's own time limit and gives its rows.
  public func query(_ sql: SQL) async throws -> [Row] {
    try await query(sql, timeout: nil)
  }

  /// Runs one statement under the connection's own time limit and gives the number of affected rows.
  @discardableResult
  public func execute(_ sql: SQL) async throws -> Int {
    try await execute(sql, timeout: nil)
  }
}
