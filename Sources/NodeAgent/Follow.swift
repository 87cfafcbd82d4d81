import Domain
import Glibc
import ObjectStorage
import Wire

/// Tells a controller all that an attempt does, from where it had heard before until the attempt is over.
struct Follow {
  private let folder: AttemptFolder
  /// The last journal entry that the controller has.
  private var sequence: Int64
  private var journal: JournalTail
  private var metrics: MetricsTail
  /// The last entry, from when it was read until it is sent.
  private var last: JournalEntry?

  private static let aliveEvery = TimeSpan.seconds(5)

  /// From behind journal entry `sequence`, and from byte `offset` of the metrics.
  init(folder: AttemptFolder, sequence: Int64, offset: Int64) {
    self.folder = folder
    self.sequence = sequence
    journal = JournalTail(folder.journal)
    metrics = MetricsTail(folder.metrics, from: offset)
  }

  /// Writes frames to standard output; returns after all metrics and `ended`, or when the supervisor is gone.
  mutating func run() throws {
    guard Disk.status(folder.path) != nil else {
      try Self.send(.unknownAttempt)
      return
    }
    let watch = try FolderWatch()
    _ = try watch.add(folder.path, Int32(IN_MODIFY), Int32(IN_CREATE), Int32(IN_MOVED_TO))
    var spoken = BootInstant.now()
    while true {
      let before = (sequence, metrics.offset)
      // Looked at before reading: what a supervisor wrote before it went is read after.
      let isAlive = ProcessTable.supervisor(of: folder) != nil
      let hasEnded = try sendNews()
      if hasEnded { return }
      if !isAlive {
        try Self.send(.supervisorGone)
        return
      }
      if before != (sequence, metrics.offset) { spoken = .now() }
      if BootInstant.now() - spoken >= Self.aliveEvery {
        try Self.send(.alive)
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
    for entry in try journal.news() {
      if case .ended = entry.event { last = entry } else { try send(entry) }
    }
    try metrics.news { try Self.send(.metrics(lines: $0, end: $1)) }
    guard let last else { return false }
    try send(last)
    return true
  }

  private mutating func send(_ entry: JournalEntry) throws {
    guard entry.sequence > sequence else { return }
    try Self.send(.journal(entry))
    sequence = entry.sequence
  }

  private static func send(_ frame: FollowFrame) throws {
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
