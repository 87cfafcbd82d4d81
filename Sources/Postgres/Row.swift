/// One row of a statement's result.
///
/// Cheap to copy; keeps the whole result alive.
public struct Row: Sendable {
  private let table: ResultTable
  private let index: Int

  init(table: ResultTable, index: Int) {
    self.table = table
    self.index = index
  }

  /// The names of the columns, in the order of the statement.
  public var columnNames: [String] { table.columns.map(\.name) }

  /// The value of a column.
  ///
  /// Throws `RowError` when there is no such column, when several have that name, when the value is NULL, and when its
  /// text is not a `T`.
  public func get<T: SQLDecodable>(_ column: String, as type: T.Type = T.self) throws -> T {
    guard let value = try get(column, as: T?.self) else {
      throw RowError(column: column, wanted: "\(T.self)", problem: .null)
    }
    return value
  }

  /// The value of a column, nil when it is NULL.
  ///
  /// Throws `RowError` when there is no such column, when several have that name, and when its text is not a `T`.
  public func get<T: SQLDecodable>(_ column: String, as type: T?.Type = T?.self) throws -> T? {
    guard let position = table.positions[column] else {
      throw RowError(column: column, wanted: "\(T.self)", problem: .noSuchColumn(available: columnNames))
    }
    guard position != ResultTable.ambiguous else {
      throw RowError(column: column, wanted: "\(T.self)", problem: .ambiguousColumn)
    }
    guard let text = table.text(row: index, column: position) else { return nil }
    guard let value = T(sqlText: text) else {
      let problem = RowError.Problem.unreadable(text: text, typeOID: table.columns[position].typeOID)
      throw RowError(column: column, wanted: "\(T.self)", problem: problem)
    }
    return value
  }
}

/// Why a column could not be read: the statement and the code that reads its rows do not agree.
public struct RowError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What was found instead of a value.
  public enum Problem: Sendable, Hashable {
    /// The statement has no column of that name; those it has.
    case noSuchColumn(available: [String])
    /// Several columns have that name.
    case ambiguousColumn
    /// The value is NULL and the wanted type is not optional.
    case null
    /// The text is not a value of the wanted type; the type PostgreSQL gave it, as its OID.
    case unreadable(text: String, typeOID: UInt32)
  }

  /// The column that was asked for.
  public var column: String
  /// The Swift type that was asked for.
  public var wanted: String
  /// What was found.
  public var problem: Problem

  /// One line for a log; a long text is cut.
  public var description: String {
    switch problem {
    case .noSuchColumn(let available):
      "no column \"\(column)\" (wanted as \(wanted)); the row has \(available.joined(separator: ", "))"
    case .ambiguousColumn:
      "several columns are named \"\(column)\" (wanted as \(wanted)); name them apart with AS"
    case .null:
      "column \"\(column)\" is NULL, wanted \(wanted); ask for \(wanted)? if it may be"
    case .unreadable(let text, let typeOID):
      "column \"\(column)\" is not a \(wanted): got \"\(text.prefix(80))\" of the type with OID \(typeOID)"
    }
  }
}

/// A result copied out of libpq: the columns, and every value's bytes in one buffer.
final class ResultTable: Sendable {
  static let ambiguous = -1

  let columns: [StatementDescription.Column]
  let positions: [String: Int]
  let rowCount: Int
  private let bytes: [UInt8]
  /// Where each value ends in `bytes`, row by row; -1 for NULL.
  private let ends: [Int]
  private let starts: [Int]

  init(columns: [StatementDescription.Column], rowCount: Int, bytes: [UInt8], starts: [Int], ends: [Int]) {
    self.columns = columns
    self.rowCount = rowCount
    self.bytes = bytes
    self.starts = starts
    self.ends = ends
    let named = columns.enumerated().map { ($0.element.name, $0.offset) }
    positions = Dictionary(named) { _, _ in ResultTable.ambiguous }
  }

  var rows: [Row] { (0..<rowCount).map { Row(table: self, index: $0) } }

  func text(row: Int, column: Int) -> String? {
    let cell = row * columns.count + column
    guard ends[cell] >= 0 else { return nil }
    return String(decoding: bytes[starts[cell]..<ends[cell]], as: UTF8.self)
  }
}

/// What PostgreSQL says about a statement that was prepared but not run.
///
/// Types are OIDs of `pg_type`.
public struct StatementDescription: Sendable, Hashable {
  /// A column of the result.
  public struct Column: Sendable, Hashable {
    /// Its name.
    public var name: String
    /// The OID of its type.
    public var typeOID: UInt32
  }

  /// The inferred types of `$1`, `$2`...
  public var parameterTypeOIDs: [UInt32]
  /// The columns; empty for a statement that returns no rows.
  public var columns: [Column]
}
