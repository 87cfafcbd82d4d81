/// Cuts a stream of bytes into lines, and keeps no more than one line of limited length.
public struct LineSplitter {
  /// Stands at the end of a line of which the rest was left out.
  public static let cutMark = " ... (line cut)"

  /// Bytes of all whole lines so far, with their ends and with what was cut: where the first line begins that is not
  /// whole yet.
  public private(set) var consumed: Int64 = 0

  private let limit: Int
  private var rest: [UInt8] = []
  /// Of the line that is not whole yet; more than `rest` where it is being cut.
  private var length: Int64 = 0

  /// Nothing yet; a line with more bytes than `limit` is cut there, and ends in `cutMark`.
  public init(limit: Int = 1 << 20) { self.limit = limit }

  /// The lines that `bytes` completes, without their ends.
  public mutating func add(_ bytes: [UInt8]) -> [[UInt8]] {
    var lines: [[UInt8]] = []
    var start = bytes.startIndex
    while let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) {
      take(bytes[start..<end])
      lines.append(length > limit ? rest + Array(Self.cutMark.utf8) : rest)
      consumed += length + 1
      rest = []
      length = 0
      start = end + 1
    }
    take(bytes[start...])
    return lines
  }

  private mutating func take(_ bytes: ArraySlice<UInt8>) {
    rest += bytes.prefix(limit - rest.count)
    length += Int64(bytes.count)
  }
}
