/// Why a statement, a connection or a transaction failed.
///
/// `description` never holds bound values, which may be secrets; `debugDescription`, `message` and `detail` may.
public struct PostgresError: Error, Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible {
  /// What is known of the effect of the failed statement.
  public enum Outcome: Sendable, Hashable {
    /// It changed nothing: it was never sent, or the server refused it, or it was cancelled.
    case notExecuted
    /// It was sent and no answer came: it may have changed the database. Read before writing again.
    case unknown
  }

  /// What went wrong, for the program to decide on.
  public var code: Code
  /// What is known of the effect of the statement.
  public var outcome: Outcome
  /// The five characters of SQLSTATE when the server gave one.
  public var sqlState: String?
  /// `ERROR`, `FATAL` or `PANIC`, never translated; `CLIENT` when the error arose on this side.
  public var severity: String
  /// The server's own words, or ours.
  public var message: String
  /// The server's second line.
  ///
  /// Often quotes values.
  public var detail: String?
  /// What to do about it.
  public var hint: String?
  /// The constraint that was violated.
  public var constraint: String?
  /// The statement, with `$1` where values are bound.
  public var statement: String?
  /// Where in the statement, counted in characters from 1.
  public var position: Int?
  /// The function of the server that raised the error.
  ///
  /// Not translated, unlike the message.
  var serverRoutine: String?

  init(
    _ code: Code, outcome: Outcome = .notExecuted, message: String, hint: String? = nil, statement: String? = nil
  ) {
    self.code = code
    self.outcome = outcome
    severity = "CLIENT"
    self.message = message
    self.hint = hint
    self.statement = statement
  }

  /// Whether the same transaction, run again from its start, may succeed.
  public var isRetryable: Bool {
    switch code {
    case .serializationFailure, .deadlock, .stalePlan: true
    default: false
    }
  }

  /// The line of the statement that `position` is in, from 1.
  public var line: Int? {
    guard let statement, let position else { return nil }
    return 1 + statement.unicodeScalars.prefix(max(position - 1, 0)).count { $0 == "\n" }
  }

  /// One line for a log, without bound values.
  public var description: String {
    var text = "\(code)"
    if let sqlState { text += " [\(sqlState)]" }
    // Messages of class 22 ("data exception") quote the value that could not be read; while connecting none is bound.
    let quotes = statement != nil && sqlState?.hasPrefix("22") == true
    text += quotes ? ": (message withheld, it may quote a value)" : ": \(message)"
    if let constraint { text += "; constraint \(constraint)" }
    if outcome == .unknown { text += "; the statement may or may not have taken effect" }
    if let hint { text += "; hint: \(hint)" }
    if let line, line > 1 { text += "; line \(line)" }
    if let statement { text += "; in: \(shortened(statement))" }
    return text
  }

  /// Everything, bound values that the server quoted included.
  public var debugDescription: String {
    let position = position.map { "\($0)" } ?? "-"
    return """
      PostgresError(\(code), outcome: \(outcome), sqlState: \(sqlState ?? "-"), severity: \(severity), \
      message: \(message), detail: \(detail ?? "-"), hint: \(hint ?? "-"), constraint: \(constraint ?? "-"), \
      position: \(position), statement: \(statement ?? "-"))
      """
  }
}

private func shortened(_ statement: String) -> String {
  let words = statement.split(whereSeparator: \.isWhitespace).joined(separator: " ")
  return words.count <= 300 ? words : words.prefix(300) + "..."
}

extension PostgresError {
  /// The errors that programs tell apart.
  public enum Code: Sendable, Hashable {
    /// A row with this key exists already.
    case uniqueViolation
    /// The row overlaps one that an exclusion constraint keeps apart.
    case exclusionViolation
    /// A CHECK constraint does not hold.
    case checkViolation
    /// A row that is referred to does not exist, or one that is referred to would go.
    case foreignKeyViolation
    /// A column that must have a value has none.
    case notNullViolation
    /// Concurrent transactions cannot be put in an order; run it again.
    case serializationFailure
    /// Transactions waited for each other; run it again.
    case deadlock
    /// A lock was not to be had in time (`NOWAIT`, `lock_timeout`).
    case lockNotAvailable
    /// The server ended the statement: its `statement_timeout`, or an administrator.
    case queryCanceled
    /// A table or view does not exist.
    case undefinedTable
    /// A column does not exist.
    case undefinedColumn
    /// A function does not exist.
    case undefinedFunction
    /// A schema does not exist.
    case undefinedSchema
    /// The database does not exist.
    case undefinedDatabase
    /// A table or another relation exists already.
    case duplicateTable
    /// The statement cannot be parsed.
    case syntaxError
    /// The role has not the right.
    case insufficientPrivilege
    /// A value's text is not one of its type.
    case invalidText
    /// A statement after a failed one in the same transaction, or the commit of a transaction that failed.
    case transactionAborted
    /// A write in a read-only transaction or on a standby.
    case readOnlyTransaction
    /// The server has no connection left.
    case tooManyConnections
    /// The server starts up or shuts down.
    case cannotConnectNow
    /// The role or the password is not accepted.
    case authenticationFailed
    /// A prepared statement no longer fits the schema, inside a transaction where it cannot be prepared again.
    case stalePlan
    /// There was no connection to be had: refused, unreachable, or too slow.
    case cannotConnect
    /// The connection broke; `outcome` says what that means for the statement.
    case connectionLost
    /// The statement took longer than the client's limit.
    case timeout
    /// Every connection of the pool was in use for too long.
    case poolTimeout
    /// The pool or the connection was closed by this program.
    case closed
    /// A value that PostgreSQL cannot take.
    case invalidBind
    /// The program called something where it makes no sense; the message says what.
    case misuse
    /// Any other error of the server, by its SQLSTATE.
    case other(sqlState: String)

    init(sqlState: String) {
      self = Code.known[sqlState] ?? (sqlState.hasPrefix("08") ? .connectionLost : .other(sqlState: sqlState))
    }

    private static let known: [String: Code] = [
      "23505": .uniqueViolation, "23P01": .exclusionViolation, "23514": .checkViolation,
      "23503": .foreignKeyViolation, "23502": .notNullViolation, "40001": .serializationFailure, "40P01": .deadlock,
      "55P03": .lockNotAvailable, "57014": .queryCanceled, "42P01": .undefinedTable, "42703": .undefinedColumn,
      "42883": .undefinedFunction, "3F000": .undefinedSchema, "3D000": .undefinedDatabase, "42P07": .duplicateTable,
      "42601": .syntaxError, "42501": .insufficientPrivilege, "22P02": .invalidText, "25P02": .transactionAborted,
      "25006": .readOnlyTransaction, "53300": .tooManyConnections, "57P03": .cannotConnectNow,
      "28000": .authenticationFailed, "28P01": .authenticationFailed,
    ]
  }

  /// The SQLSTATE of a name that DISCARD or DEALLOCATE took away.
  static let undefinedPreparedStatement = "26000"

  /// Whether a new try to connect may succeed without anybody changing the settings.
  var isWorthReconnecting: Bool {
    switch code {
    case .cannotConnect, .cannotConnectNow, .tooManyConnections, .connectionLost, .timeout: true
    // The server goes down while we come in: admin_shutdown, crash_shutdown.
    case .other(let state): state.hasPrefix("57P")
    default: false
    }
  }
}
