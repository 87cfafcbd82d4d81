import Domain
import Glibc
import ObjectStorage
import Wire

/// Tells a controller all that an attempt does, from where it had heard before until the attempt is over.
struct Follow {
  var folder: AttemptFolder
  /// The last journal entry that the controller has.
  var sequence: Int64
  /// The first byte of the metrics that it has not.
  var offset: Int64

  private static let aliveEvery = TimeSpan.seconds(5)
  private static let pieceLimit = 1 << 18

  /// Writes frames to standard output; returns after all metrics and `ended`, or when the supervisor is gone.
  mutating func run() throws {
    guard Disk.status(folder.path) != nil else {
      try send(.unknownAttempt)
      return
    }
    let watch = try FolderWatch()
    _ = try watch.add(folder.path, Int32(IN_MODIFY), Int32(IN_CREATE), Int32(IN_MOVED_TO))
    var spoken = BootInstant.now()
    while true {
      let before = (sequence, offset)
      // Looked at before reading: what a supervisor wrote before it went is read after.
      let isAlive = ProcessTable.supervisor(of: folder) != nil
      let hasEnded = try sendNews()
      if hasEnded { return }
      if !isAlive {
        try send(.supervisorGone)
        return
      }
      if before != (sequence, offset) { spoken = .now() }
      if BootInstant.now() - spoken >= Self.aliveEvery {
        try send(.alive)
        spoken = .now()
      }
      _ = waitReadable([watch.descriptor], until: spoken + Self.aliveEvery)
      _ = watch.changes()
    }
  }

  /// Sends new entries and metrics; true once the last entry was sent, now or before.
  ///
  /// `ended` comes after all metrics: whoever hears it may stop listening.
  private mutating func sendNews() throws -> Bool {
    var entries = try JournalFile.read(folder.journal).entries[...]
    let end = JournalFile.hasEnded(entries.map(\.event)) ? entries.popLast() : nil
    for entry in entries { try send(entry) }
    try sendMetrics()
    if let end { try send(end) }
    return end != nil
  }

  private mutating func send(_ entry: JournalEntry) throws {
    guard entry.sequence > sequence else { return }
    try send(.journal(entry))
    sequence = entry.sequence
  }

  private mutating func sendMetrics() throws {
    guard Disk.status(folder.metrics) != nil else { return }
    let file = try Disk.open(folder.metrics, O_RDONLY)
    var rest: [UInt8] = []
    while true {
      let piece = try Disk.read(
        file, at: offset + Int64(rest.count), limit: Self.pieceLimit, path: folder.metrics)
      rest += piece
      if let last = rest.lastIndex(of: UInt8(ascii: "\n")) {
        let lines = rest[..<last].split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }
        offset += Int64(last + 1)
        try send(.metrics(lines: lines, end: offset))
        rest = Array(rest[(last + 1)...])
      } else if rest.count > 16 << 20 {
        // No line of metrics is this long: what follows its end is.
        offset += Int64(rest.count)
        rest = []
      }
      if piece.isEmpty { return }
    }
  }

  private func send(_ frame: FollowFrame) throws {
    let output = StandardOutput()
    try output.write(try Codec.line(frame))
  }
}

/// The raw bytes of a rank's log.
struct LogReader {
  var folder: AttemptFolder
  var rank: Int
  var offset: Int64
  var follows: Bool

  mutating func run() throws {
    let path = folder.log(rank: rank)
    let watch = try FolderWatch()
    if follows, Disk.status(folder.path) != nil {
      _ = try watch.add(folder.path, Int32(IN_MODIFY), Int32(IN_CREATE))
      if Disk.status(folder.logs) != nil { _ = try watch.add(folder.logs, Int32(IN_MODIFY), Int32(IN_CREATE)) }
    }
    while true {
      let isAlive = ProcessTable.supervisor(of: folder) != nil
      if Disk.status(path) != nil {
        let file = try Disk.open(path, O_RDONLY)
        while true {
          let piece = try Disk.read(file, at: offset, limit: 1 << 16, path: path)
          if piece.isEmpty { break }
          try StandardOutput().write(piece)
          offset += Int64(piece.count)
        }
      }
      if !follows || !isAlive { return }
      _ = waitReadable([watch.descriptor], until: .now() + .seconds(5))
      _ = watch.changes()
    }
  }
}

/// Standard output, unbuffered.
struct StandardOutput {
  func write(_ bytes: [UInt8]) throws(SystemError) {
    let raw = dup(1)
    if raw < 0 { throw SystemError("cannot write", "standard output", errno: errno) }
    try Disk.write(bytes, to: Descriptor(owning: raw), path: "standard output")
  }
}
