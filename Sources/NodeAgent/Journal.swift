import Domain
import FoundationEssentials
import Glibc
import ObjectStorage
import Wire

/// The journal of an attempt, as its single writer sees it; confined to the supervisor's main thread.
final class Journal {
  private let file: Descriptor
  private let folder: AttemptFolder
  private let start: BootInstant
  private var length: Int64
  private var lastSequence: Int64
  /// Whether an attempt was launched, or ended, before this supervisor opened its journal.
  let history: [AgentEvent]

  /// Opens or makes the journal; a last line that was torn by a crash is cut off.
  init(_ folder: AttemptFolder, start: BootInstant) throws {
    self.folder = folder
    self.start = start
    file = try Disk.open(folder.journal, O_RDWR | O_CREAT, mode: 0o600)
    let found = try JournalFile.read(folder.journal)
    length = found.length
    lastSequence = found.entries.last?.sequence ?? 0
    history = found.entries.map(\.event)
    if ftruncate(file.raw, off_t(length)) != 0 { throw SystemError("cannot repair", folder.journal, errno: errno) }
    try Disk.synchronize(folder: folder.path)
    try makeBallast()
  }

  /// Writes an entry; when this returns it is on the disk.
  func append(_ event: AgentEvent) throws {
    let entry = JournalEntry(
      sequence: lastSequence + 1, at: .wallClock(), elapsed: BootInstant.now() - start, event: event)
    let line = try Codec.line(entry)
    do {
      try write(line)
    } catch let error as SystemError where error.isOutOfSpace {
      if unlink(folder.ballast) != 0 { throw error }
      try write(line)
    }
    length += Int64(line.count)
    lastSequence += 1
  }

  private func write(_ line: [UInt8]) throws {
    do {
      var done = 0
      while done < line.count {
        let count = line[done...].withUnsafeBytes { pwrite(file.raw, $0.baseAddress, $0.count, Int(length) + done) }
        if count >= 0 {
          done += count
        } else if errno != EINTR {
          throw SystemError("cannot write", folder.journal, errno: errno)
        }
      }
      try Disk.synchronize(file, path: folder.journal)
    } catch {
      ftruncate(file.raw, off_t(length))
      throw error
    }
  }

  private func makeBallast() throws {
    let ballast = try Disk.open(folder.ballast, O_WRONLY | O_CREAT, mode: 0o600)
    let code = posix_fallocate(ballast.raw, 0, 1 << 20)
    // A full disk, or one that cannot reserve, leaves the journal without ballast: no reason not to run.
    if code != 0, code != ENOSPC, code != EOPNOTSUPP {
      throw SystemError("cannot reserve", folder.ballast, errno: code)
    }
  }
}

/// A journal as its readers see it.
enum JournalFile {
  /// All whole entries, and the offset behind the last of them.
  static func read(_ path: String) throws -> (entries: [JournalEntry], length: Int64) {
    var tail = JournalTail(path)
    let entries = try tail.news()
    return (entries, tail.offset)
  }

  /// Whether the last entry was written.
  static func hasEnded(_ events: [AgentEvent]) -> Bool {
    events.contains { if case .ended = $0 { true } else { false } }
  }

  /// Whether ranks were started.
  static func wasLaunched(_ events: [AgentEvent]) -> Bool {
    events.contains { if case .launched = $0 { true } else { false } }
  }
}

/// A journal that is read while it grows: each entry once.
struct JournalTail {
  private static let pieceLimit = 1 << 18

  /// Behind the last whole entry that was read.
  private(set) var offset: Int64 = 0
  private let path: String

  init(_ path: String) { self.path = path }

  /// The whole entries that are new.
  mutating func news() throws -> [JournalEntry] {
    guard Disk.status(path) != nil else { return [] }
    let file = try Disk.open(path, O_RDONLY)
    var entries: [JournalEntry] = []
    var rest: [UInt8] = []
    while true {
      let piece = try Disk.read(file, at: offset + Int64(rest.count), limit: Self.pieceLimit, path: path)
      if piece.isEmpty { return entries }
      rest += piece
      var start = 0
      while let end = rest[start...].firstIndex(of: UInt8(ascii: "\n")) {
        do {
          entries.append(try Codec.decode(JournalEntry.self, rest[start..<end]))
        } catch {
          // Sectors of zeros after a loss of power: what follows cannot be trusted either.
          return entries
        }
        offset += Int64(end + 1 - start)
        start = end + 1
      }
      rest = Array(rest[start...])
    }
  }
}
