/// A value of which PostgreSQL has arrays.
///
/// A wrapper around such a raw value conforms with an empty extension. `UInt8` is the exception that makes
/// `[UInt8]` a `bytea`.
public protocol SQLArrayElement {
  /// The text form of an array of these.
  static func sqlText(of elements: [Self]) -> String

  /// Reads the text form of a one-dimensional array; nil when it is something else or holds a NULL.
  static func elements(fromSQLText text: String) -> [Self]?
}

extension SQLArrayElement where Self: SQLBindable & SQLDecodable {
  /// An array literal such as `{"1","2"}`.
  public static func sqlText(of elements: [Self]) -> String {
    ArrayLiteral.write(elements.map(\.sqlText))
  }

  /// Reads an array literal.
  public static func elements(fromSQLText text: String) -> [Self]? {
    guard let parts = ArrayLiteral.read(text) else { return nil }
    var elements: [Self] = []
    elements.reserveCapacity(parts.count)
    for part in parts {
      guard let part, let element = Self(sqlText: part) else { return nil }
      elements.append(element)
    }
    return elements
  }
}

extension Int: SQLArrayElement {}
extension Int32: SQLArrayElement {}
extension Int64: SQLArrayElement {}
extension Double: SQLArrayElement {}
extension String: SQLArrayElement {}

extension UInt8: SQLArrayElement {
  /// `\x` and two hexadecimal digits a byte.
  public static func sqlText(of elements: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(unsafeUninitializedCapacity: 2 + 2 * elements.count) { buffer in
      buffer[0] = UInt8(ascii: "\\")
      buffer[1] = UInt8(ascii: "x")
      for (index, byte) in elements.enumerated() {
        buffer[2 + 2 * index] = digits[Int(byte >> 4)]
        buffer[3 + 2 * index] = digits[Int(byte & 15)]
      }
      return buffer.count
    }
  }

  /// Reads `bytea_output = hex`, which every connection of this module asks for.
  public static func elements(fromSQLText text: String) -> [UInt8]? {
    let utf8 = Array(text.utf8)
    guard utf8.count % 2 == 0, utf8.starts(with: [UInt8(ascii: "\\"), UInt8(ascii: "x")]) else { return nil }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(utf8.count / 2 - 1)
    for index in stride(from: 2, to: utf8.count, by: 2) {
      guard let high = hexValue(utf8[index]), let low = hexValue(utf8[index + 1]) else { return nil }
      bytes.append(high << 4 | low)
    }
    return bytes
  }
}

private func hexValue(_ digit: UInt8) -> UInt8? {
  switch digit {
  case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
  case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
  case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
  default: nil
  }
}

/// PostgreSQL's text form of one-dimensional arrays (manual, section 8.15.6).
enum ArrayLiteral {
  static func write(_ elements: [String?]) -> String {
    var text = "{"
    for (index, element) in elements.enumerated() {
      if index > 0 { text += "," }
      guard let element else {
        text += "NULL"
        continue
      }
      text += "\""
      for scalar in element.unicodeScalars {
        if scalar == "\"" || scalar == "\\" { text += "\\" }
        text.unicodeScalars.append(scalar)
      }
      text += "\""
    }
    return text + "}"
  }

  /// The elements, nil for NULL; nil as a whole for anything but a one-dimensional array that starts at index 1.
  static func read(_ text: String) -> [String?]? {
    var rest = Substring(text).utf8
    guard rest.popFirst() == UInt8(ascii: "{") else { return nil }
    if rest.elementsEqual("}".utf8) { return [] }
    var elements: [String?] = []
    while true {
      guard let element = readElement(&rest) else { return nil }
      elements.append(element.text)
      switch rest.popFirst() {
      case UInt8(ascii: ","): continue
      case UInt8(ascii: "}"): return rest.isEmpty ? elements : nil
      default: return nil
      }
    }
  }

  private static func readElement(_ rest: inout Substring.UTF8View) -> (text: String?, Void)? {
    var bytes: [UInt8] = []
    guard rest.first == UInt8(ascii: "\"") else {
      while let byte = rest.first, byte != UInt8(ascii: ","), byte != UInt8(ascii: "}") {
        // A brace opens an inner array, which this reader refuses.
        guard byte != UInt8(ascii: "{") else { return nil }
        bytes.append(byte)
        rest.removeFirst()
      }
      guard !bytes.isEmpty else { return nil }
      let word = String(decoding: bytes, as: UTF8.self)
      return (word == "NULL" ? nil : word, ())
    }
    rest.removeFirst()
    while let byte = rest.popFirst() {
      switch byte {
      case UInt8(ascii: "\""): return (String(decoding: bytes, as: UTF8.self), ())
      case UInt8(ascii: "\\"):
        guard let escaped = rest.popFirst() else { return nil }
        bytes.append(escaped)
      default: bytes.append(byte)
      }
    }
    return nil
  }
}
