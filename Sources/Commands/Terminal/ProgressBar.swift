import Domain

/// Tells how far something is: one line that moves on a terminal, a line now and then elsewhere.
///
/// A value that decides what to print; whoever holds it prints.
struct ProgressBar: Sendable, Hashable {
  private let label: String
  private let total: Int64
  private let isTerminal: Bool
  private let width: Int
  private let startedAt: TimeSpan
  private var printedAt: TimeSpan?
  private var printedTenth = -1

  /// A bar for `total` bytes.
  ///
  /// `time` is a reading of a clock that does not jump.
  init(label: String, total: ByteCount, isTerminal: Bool, width: Int, at time: TimeSpan) {
    self.label = Printable.line(label)
    self.total = total.bytes
    self.isTerminal = isTerminal
    self.width = width
    startedAt = time
  }

  /// What to write to standard error now that `done` is done; nil for nothing.
  ///
  /// A terminal's line is drawn ten times a second at most; elsewhere there is a line for each tenth, but no more
  /// than one in five seconds. The end is always told.
  mutating func update(_ done: ByteCount, at time: TimeSpan) -> String? {
    let isEnd = done.bytes >= total
    if let printedAt, !isEnd, time - printedAt < (isTerminal ? .seconds(0.1) : .seconds(5)) { return nil }
    let tenth = total > 0 ? Int(Double(done.bytes) / Double(total) * 10) : 10
    if !isTerminal, tenth <= printedTenth, printedAt != nil { return nil }
    if isEnd, printedTenth == 11 { return nil }
    printedAt = time
    printedTenth = isEnd ? 11 : tenth
    let text = line(done, at: time)
    if !isTerminal { return text + "\n" }
    return "\r\u{1B}[K" + text + (isEnd ? "\n" : "")
  }

  private func line(_ done: ByteCount, at time: TimeSpan) -> String {
    let share = total > 0 ? min(1, Double(done.bytes) / Double(total)) : 1
    let elapsed = (time - startedAt).seconds
    let rate = elapsed > 0.05 ? Double(done.bytes) / elapsed : 0
    var tail = "\(Int(share * 100))% \(done) of \(ByteCount(total))"
    if rate > 0 {
      tail += " \(ByteCount(Int64(rate)))/s"
      if share < 1 {
        tail += " \(TimeSpan.seconds((Double(total - done.bytes) / rate).rounded(.up))) left"
      }
    }
    guard isTerminal else { return "\(label): \(tail)" }
    let room = width - label.count - tail.count - 5
    guard room >= 5 else { return Table.cut("\(label) \(tail)", to: max(1, width - 1)) }
    let cells = min(room, 40)
    let full = Int(share * Double(cells))
    return "\(label) [\(String(repeating: "█", count: full))\(String(repeating: " ", count: cells - full))] \(tail)"
  }
}
