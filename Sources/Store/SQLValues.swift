public import Domain
import FoundationEssentials
public import Postgres

extension Identifier: SQLBindable, SQLDecodable, SQLArrayElement {
  /// The number in decimal digits.
  public var sqlText: String? { String(rawValue) }

  /// Reads decimal digits.
  public init?(sqlText: String) {
    guard let number = Int64(sqlText) else { return nil }
    self.init(number)
  }
}

extension Timestamp: SQLBindable, SQLDecodable, SQLArrayElement {
  /// ISO-8601 in UTC.
  public var sqlText: String? { iso8601 }

  /// Reads a `timestamptz`, as connections of this program write it.
  public init?(sqlText: String) {
    do {
      try self.init(iso8601: sqlText)
    } catch {
      return nil
    }
  }
}

extension ByteCount: SQLBindable, SQLDecodable {
  /// The number of bytes.
  public var sqlText: String? { String(bytes) }

  /// Reads a number of bytes.
  public init?(sqlText: String) {
    guard let bytes = Int64(sqlText) else { return nil }
    self.init(bytes)
  }
}

extension JobState: SQLBindable, SQLDecodable {}
extension AttemptState: SQLBindable, SQLDecodable {}
extension AttemptOutcome: SQLBindable, SQLDecodable {}
extension LeaseState: SQLBindable, SQLDecodable {}
extension NodeState: SQLBindable, SQLDecodable {}
extension CheckpointState: SQLBindable, SQLDecodable {}

extension StateMachine {
  /// The names of the states that an update to this one may find.
  var predecessorNames: [String] { predecessors.map(\.rawValue) }
}

extension Collection where Element: RawRepresentable, Element.RawValue == String {
  /// The states' names, in a stable order.
  var names: [String] { map(\.rawValue).sorted() }
}

/// Values in `jsonb` columns; numbers that JSON has none for are texts there, as in the API's answers.
enum JSON {
  static func text(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
    return String(decoding: try encoder.encode(value), as: UTF8.self)
  }

  static func value<Value: Decodable>(_ type: Value.Type = Value.self, from text: String) throws -> Value {
    let decoder = JSONDecoder()
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
    return try decoder.decode(type, from: Data(text.utf8))
  }
}

extension Row {
  /// A `jsonb` column, read as a `Value`.
  func json<Value: Decodable>(_ column: String, as type: Value.Type = Value.self) throws -> Value {
    try JSON.value(from: get(column, as: String.self))
  }

  /// A column of seconds.
  func seconds(_ column: String) throws -> TimeSpan {
    .seconds(try get(column, as: Double.self))
  }
}
