import Glibc
import ObjectStorage

/// A file of lines that is read while it grows: each whole line once, whatever a program writes into it.
struct MetricsTail {
  /// No line of metrics is this long: what is longer is cut.
  static let lineLimit = 1 << 20
  /// Stands at the end of what is told of a line that was cut.
  static let cutMark = " ... (line cut)"
  private static let cutLength = 1 << 10
  private static let pieceLimit = 1 << 18

  /// The first byte that was not told of.
  private(set) var offset: Int64
  private let path: String
  /// The beginning of a line, from `offset` on.
  private var rest: [UInt8] = []
  /// Whether `offset` is in the middle of a line that was cut.
  private var isInside = false
  private var isChecked = false

  init(_ path: String, from offset: Int64) {
    self.path = path
    self.offset = offset
  }

  /// Tells the whole lines that are new, and the offset behind them.
  mutating func news(_ tell: ([String], Int64) throws -> Void) throws {
    guard Disk.status(path) != nil else { return }
    let file = try Disk.open(path, O_RDONLY)
    try check(file)
    while true {
      var piece = try Disk.read(file, at: offset + Int64(rest.count), limit: Self.pieceLimit, path: path)[...]
      if piece.isEmpty { return }
      if isInside {
        let end = piece.firstIndex(of: UInt8(ascii: "\n")).map { $0 + 1 }
        offset += Int64(end ?? piece.count)
        isInside = end == nil
        piece = piece[(end ?? piece.endIndex)...]
      }
      if let end = piece.lastIndex(of: UInt8(ascii: "\n")) {
        rest += piece[..<end]
        let lines = rest.split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }
        offset += Int64(rest.count + 1)
        rest = Array(piece[(end + 1)...])
        try tell(lines, offset)
      } else {
        rest += piece
      }
      if rest.count > Self.lineLimit {
        let cut = String(decoding: rest.prefix(Self.cutLength), as: UTF8.self) + Self.cutMark
        offset += Int64(rest.count)
        rest = []
        isInside = true
        try tell([cut], offset)
      }
    }
  }

  /// Whoever comes back may have left in the middle of a line.
  private mutating func check(_ file: borrowing Descriptor) throws {
    guard !isChecked else { return }
    isChecked = true
    guard offset > 0 else { return }
    let before = try Disk.read(file, at: offset - 1, limit: 1, path: path)
    isInside = before.first.map { $0 != UInt8(ascii: "\n") } ?? false
  }
}
