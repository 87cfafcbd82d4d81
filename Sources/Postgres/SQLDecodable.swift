/// A value that can be read from a column.
///
/// A wrapper around a decodable raw value conforms with an empty extension:
///
///     extension JobID: SQLDecodable {}
public protocol SQLDecodable {
  /// Reads a value from PostgreSQL's text form; nil when the text is not one of this type.
  init?(sqlText: String)
}

extension SQLDecodable where Self: RawRepresentable, RawValue: SQLDecodable {
  /// Reads the raw value, and nil when this type has no such value.
  public init?(sqlText: String) {
    guard let raw = RawValue(sqlText: sqlText) else { return nil }
    self.init(rawValue: raw)
  }
}

extension SQLDecodable where Self: FixedWidthInteger {
  /// Reads decimal digits; nil when the number does not fit.
  public init?(sqlText: String) {
    self.init(sqlText, radix: 10)
  }
}

extension Int: SQLDecodable {}
extension Int16: SQLDecodable {}
extension Int32: SQLDecodable {}
extension Int64: SQLDecodable {}

extension SQLDecodable where Self: LosslessStringConvertible & BinaryFloatingPoint {
  /// Reads a decimal number, `NaN` or an infinity, exactly.
  public init?(sqlText: String) {
    self.init(sqlText)
  }
}

extension Double: SQLDecodable {}
extension Float: SQLDecodable {}

extension String: SQLDecodable {
  /// Takes the text as it is: any column can be read as a string.
  public init?(sqlText: String) {
    self = sqlText
  }
}

extension Bool: SQLDecodable {
  /// Reads `t` or `f`.
  public init?(sqlText: String) {
    switch sqlText {
    case "t": self = true
    case "f": self = false
    default: return nil
    }
  }
}
