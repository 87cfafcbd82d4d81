public import Domain
public import Postgres

/// Everything that Baton remembers, in PostgreSQL: every SQL statement of the program is behind this.
///
/// A value over a pool: copy it freely. Its clock is the database's, which alone decides about leases. A write says
/// which state it expects; where that is not so any more it changes nothing and answers `.stale`. Functions throw
/// `StoreError` for what a caller can put right, `PostgresError` for the database's own trouble, and `RowError` where
/// schema and program do not agree.
public struct Store: Sendable {
  let pool: PostgresPool
  /// What is assumed of a job of which nothing was measured yet; its data and sizes are replaced by the job's own.
  public let assumed: StartNeeds
  /// After so many attempts in a row that were LOST without breaking new ground, a job is HELD.
  public let lostMost: Int

  /// A store in the database that `pool` connects to.
  ///
  /// Touches nothing until it is asked something.
  public init(
    _ pool: PostgresPool, assumed: StartNeeds = StartNeeds(), lostMost: Int = AttemptEnd.lostMost
  ) {
    self.pool = pool
    self.lostMost = lostMost
    self.assumed = assumed
  }

  /// What time it is, by the clock that decides.
  public func now() async throws -> Timestamp {
    try await pool.one("SELECT clock_timestamp() AS now").get("now")
  }

  /// Runs `body` in a transaction, again where the database could not put it in an order with others.
  func transaction<Result>(_ body: (PostgresTransaction) async throws -> Result) async throws -> Result {
    try await pool.withTransaction(retries: 5, body)
  }
}

/// What became of a write that expects the world to be in a certain state.
public enum Guarded<Value: Sendable>: Sendable {
  /// It was so, and this is the result.
  case done(Value)
  /// It was not so any more: nothing was changed. Load a new snapshot and decide again.
  case stale

  /// The result, nil where it was stale.
  public var value: Value? {
    switch self {
    case .done(let value): value
    case .stale: nil
    }
  }

  /// Whether nothing was changed.
  public var isStale: Bool { value == nil }
}

extension Guarded: Equatable where Value: Equatable {}

extension SQLExecutor {
  /// The first row, nil where there is none.
  func first(_ sql: SQL) async throws -> Row? {
    try await query(sql).first
  }

  /// The row of a statement that always gives one.
  func one(_ sql: SQL) async throws -> Row {
    guard let row = try await query(sql).first else {
      throw MissingRow(statement: sql.text)
    }
    return row
  }
}

/// A statement that always gives a row gave none: the schema is not the one this program was written for.
public struct MissingRow: Error, Hashable, Sendable, CustomStringConvertible {
  /// The statement, with `$1` where values are bound.
  public var statement: String

  /// One line for a log.
  public var description: String { "no row where there is always one; in: \(statement)" }
}
