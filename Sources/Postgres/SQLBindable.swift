/// A value that can be bound to a statement.
///
/// A wrapper around a bindable raw value conforms with an empty extension:
///
///     extension JobID: SQLBindable {}
public protocol SQLBindable {
  /// The value as PostgreSQL reads it from text; nil for NULL.
  var sqlText: String? { get }
}

extension SQLBindable where Self: RawRepresentable, RawValue: SQLBindable {
  /// The raw value's text.
  public var sqlText: String? { rawValue.sqlText }
}

extension SQLBindable where Self: BinaryInteger {
  /// The number in decimal digits.
  public var sqlText: String? { String(self) }
}

extension Int: SQLBindable {}
extension Int16: SQLBindable {}
extension Int32: SQLBindable {}
extension Int64: SQLBindable {}

extension String: SQLBindable {
  /// The string itself.
  ///
  /// One that holds U+0000 is refused when the statement runs, because PostgreSQL has no such text.
  public var sqlText: String? { self }
}

extension Bool: SQLBindable {
  /// `t` or `f`.
  public var sqlText: String? { self ? "t" : "f" }
}

extension SQLBindable where Self: BinaryFloatingPoint & LosslessStringConvertible {
  /// The shortest decimal that reads back as the same number.
  public var sqlText: String? {
    if isNaN { return "NaN" }
    if isInfinite { return self < 0 ? "-Infinity" : "Infinity" }
    return String(self)
  }
}

extension Double: SQLBindable {}
extension Float: SQLBindable {}

extension Optional: SQLBindable where Wrapped: SQLBindable {
  /// The wrapped value's text; nil, which is NULL, when there is none.
  public var sqlText: String? { self?.sqlText }
}

extension Array: SQLBindable where Element: SQLArrayElement {
  /// An array literal; for `[UInt8]`, a `bytea`.
  public var sqlText: String? { Element.sqlText(of: self) }
}

extension Array: SQLDecodable where Element: SQLArrayElement {
  /// Reads a one-dimensional array without NULL elements; for `[UInt8]`, a `bytea`.
  public init?(sqlText: String) {
    guard let elements = Element.elements(fromSQLText: sqlText) else { return nil }
    self = elements
  }
}
