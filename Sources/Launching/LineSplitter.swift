/// Cuts a stream of bytes into lines.
public struct LineSplitter {
  private var rest: [UInt8] = []

  /// Nothing yet.
  public init() {}

  /// The lines that `bytes` completes, without their ends.
  public mutating func add(_ bytes: [UInt8]) -> [[UInt8]] {
    var lines: [[UInt8]] = []
    var start = bytes.startIndex
    while let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) {
      lines.append(rest + bytes[start..<end])
      rest = []
      start = end + 1
    }
    rest += bytes[start...]
    return lines
  }
}
