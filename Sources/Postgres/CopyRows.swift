/// Rows on their way into a table by COPY, in PostgreSQL's text form.
///
/// Every value is escaped, so that none can end its field or its row:
///
///     var rows = CopyRows()
///     for point in points {
///       rows.add(point.step)
///       rows.add(point.value)
///       rows.endRow()
///     }
public struct CopyRows: Sendable {
  /// How many rows were ended.
  public private(set) var count = 0
  private(set) var bytes: [UInt8] = []
  private var isInRow = false

  /// No rows.
  public init() {}

  /// Whether every row that was begun was ended.
  var isWhole: Bool { !isInRow }

  /// Makes room for about `bytes` more bytes.
  public mutating func reserve(_ bytes: Int) {
    self.bytes.reserveCapacity(self.bytes.count + bytes)
  }

  /// Adds the next field of the row.
  public mutating func add(_ value: some SQLBindable) {
    if isInRow { bytes.append(UInt8(ascii: "\t")) }
    isInRow = true
    guard let text = value.sqlText else {
      bytes += [UInt8(ascii: "\\"), UInt8(ascii: "N")]
      return
    }
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\\"): bytes += [byte, byte]
      case UInt8(ascii: "\n"): bytes += [UInt8(ascii: "\\"), UInt8(ascii: "n")]
      case UInt8(ascii: "\r"): bytes += [UInt8(ascii: "\\"), UInt8(ascii: "r")]
      case UInt8(ascii: "\t"): bytes += [UInt8(ascii: "\\"), UInt8(ascii: "t")]
      default: bytes.append(byte)
      }
    }
  }

  /// Ends the row.
  public mutating func endRow() {
    bytes.append(UInt8(ascii: "\n"))
    isInRow = false
    count += 1
  }
}
