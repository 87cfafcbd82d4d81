import Glibc
import ObjectStorage

/// Which pieces of a transfer are on the disk: a file that is only appended to, beside the transfer's folder.
///
/// A record is written, and flushed, after what it speaks of was flushed. A record that was torn by a crash does not
/// carry its check, and ends the map.
struct PieceMap: Sendable {
  /// What a record says.
  enum Note: Hashable, Sendable {
    /// The piece is on the disk.
    case finished(piece: Int)
    /// The piece has to come again.
    case dropped(piece: Int)
    /// The file was read and is what it should be.
    case verified(file: Int)

    fileprivate var code: UInt64 {
      switch self {
      case .finished(let piece): UInt64(piece) << 2
      case .dropped(let piece): UInt64(piece) << 2 | 1
      case .verified(let file): UInt64(file) << 2 | 2
      }
    }

    fileprivate init?(code: UInt64) {
      guard let index = Int(exactly: code >> 2) else { return nil }
      switch code & 3 {
      case 0: self = .finished(piece: index)
      case 1: self = .dropped(piece: index)
      case 2: self = .verified(file: index)
      default: return nil
      }
    }
  }

  /// What the map says as a whole.
  struct Content: Hashable, Sendable {
    var pieces: Set<Int> = []
    var files: Set<Int> = []

    fileprivate mutating func take(_ note: Note) {
      switch note {
      case .finished(let piece): pieces.insert(piece)
      case .dropped(let piece): pieces.remove(piece)
      case .verified(let file): files.insert(file)
      }
    }
  }

  private static let recordSize = 16
  let path: String
  private let planID: String

  /// The map at `path` of the transfer whose plan is `planID`.
  init(path: String, planID: String) {
    self.path = path
    self.planID = planID
  }

  private var header: [UInt8] { Array("baton transfer 1 \(planID)\n".utf8) }

  /// What is noted; nil where there is no map, or one of another plan.
  ///
  /// What follows a torn record is cut off.
  func read() throws(SystemError) -> Content? {
    guard let (content, position, size) = try parse() else { return nil }
    if position < size {
      let file = try Disk.open(path, O_WRONLY)
      if ftruncate(file.raw, off_t(position)) != 0 { throw SystemError("cannot repair", path, errno: errno) }
      try Disk.synchronize(file, path: path)
    }
    return content
  }

  /// What is noted while another process adds to it; nil where there is no map, or one of another plan.
  ///
  /// Changes nothing: a record that is torn now may be whole in a moment.
  func glance() throws(SystemError) -> Content? { try parse()?.content }

  /// What is noted, where its last whole record ends, and how long the map is.
  private func parse() throws(SystemError) -> (content: Content, end: Int, size: Int)? {
    guard Disk.status(path) != nil else { return nil }
    let bytes = try Disk.readAll(path, limit: 1 << 30)
    guard bytes.starts(with: header) else { return nil }
    var content = Content()
    var position = header.count
    while position + Self.recordSize <= bytes.count {
      let code = Self.number(bytes[position..<position + 8])
      let check = Self.number(bytes[position + 8..<position + 16])
      guard check == self.check(code, position), let note = Note(code: code) else { break }
      content.take(note)
      position += Self.recordSize
    }
    return (content, position, bytes.count)
  }

  /// Makes an empty map.
  func begin() throws(SystemError) { try Disk.writeAtomically(header, to: path, mode: 0o644) }

  /// Adds `notes`; they are on the disk when this returns.
  ///
  /// One call at a time.
  func append(_ notes: [Note]) throws(SystemError) {
    guard !notes.isEmpty else { return }
    let file = try Disk.open(path, O_WRONLY | O_APPEND)
    var position = Int(Disk.status(path)?.size ?? 0)
    var bytes: [UInt8] = []
    for note in notes {
      for number in [note.code, check(note.code, position)] {
        for shift in stride(from: UInt64(0), to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: number >> shift)) }
      }
      position += Self.recordSize
    }
    try Disk.write(bytes, to: file, path: path)
    try Disk.synchronize(file, path: path)
  }

  private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
    bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// FNV-1a over the plan, the place in the file and the record: a record is only good where it was written.
  private func check(_ code: UInt64, _ position: Int) -> UInt64 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    func add(_ byte: UInt8) { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    for byte in planID.utf8 { add(byte) }
    for number in [code, UInt64(position)] {
      for shift in stride(from: UInt64(0), to: 64, by: 8) { add(UInt8(truncatingIfNeeded: number >> shift)) }
    }
    return hash
  }
}
