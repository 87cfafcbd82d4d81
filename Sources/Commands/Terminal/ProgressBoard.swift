import Domain
import Wire

/// Tells how far several things are at once: a line each that moves on a terminal, a line now and then elsewhere.
///
/// A value that decides what to print; whoever holds it prints.
struct ProgressBoard: Sendable, Hashable {
  private struct Line: Sendable, Hashable {
    var label: String
    var text: String
    var printedTenth = -1
  }

  private let isTerminal: Bool
  private let width: Int
  private let verb: String
  private var lines: [Line] = []
  private var drawn = 0
  private var drawnAt: TimeSpan?

  /// A board of things that are called by `verb` where they have no name, as in `packing`.
  init(_ verb: String, isTerminal: Bool, width: Int) {
    self.verb = verb
    self.isTerminal = isTerminal
    self.width = width
  }

  /// What to write to standard error now; nil for nothing.
  ///
  /// A terminal is drawn ten times a second at most; elsewhere each thing has a line for each tenth of it.
  mutating func update(_ progress: DataProgress, at time: TimeSpan) -> String? {
    let label = progress.node ?? verb
    let tenth = Self.share(progress).map { Int($0 * 10) }
    let index = lines.firstIndex { $0.label == label } ?? lines.count
    if index == lines.count { lines.append(Line(label: label, text: "")) }
    lines[index].text = Self.text(progress)
    guard isTerminal else {
      guard tenth.map({ $0 > lines[index].printedTenth }) ?? (lines[index].printedTenth < 0) else { return nil }
      lines[index].printedTenth = tenth ?? 0
      return "\(Printable.line(label)): \(lines[index].text)\n"
    }
    if let drawnAt, time - drawnAt < .seconds(0.1), drawn == lines.count { return nil }
    drawnAt = time
    return draw()
  }

  /// Draws the last state once more; nil where there is no terminal.
  mutating func end() -> String? { isTerminal && !lines.isEmpty ? draw() : nil }

  private mutating func draw() -> String {
    let up = drawn > 0 ? "\u{1B}[\(drawn)A" : ""
    drawn = lines.count
    let column = lines.map(\.label.count).max() ?? 0
    return up
      + lines.map { line in
        let label = line.label + String(repeating: " ", count: column - line.label.count)
        return "\r\u{1B}[K" + Table.cut(Printable.line("\(label)  \(line.text)"), to: max(1, width - 1)) + "\n"
      }.joined()
  }

  private static func share(_ progress: DataProgress) -> Double? {
    guard let total = progress.total else { return nil }
    return total.bytes > 0 ? min(1, Double(progress.done.bytes) / Double(total.bytes)) : 1
  }

  private static func text(_ progress: DataProgress) -> String {
    var words: [String] = []
    if let share = share(progress), let total = progress.total {
      let full = Int(share * 20)
      words.append("[" + String(repeating: "█", count: full) + String(repeating: " ", count: 20 - full) + "]")
      words.append("\(Int(share * 100))% \(progress.done) of \(total)")
    } else {
      if let objects = progress.objects { words.append(counted(objects, "object")) }
      words.append("\(progress.done)")
    }
    if let rate = progress.rate { words.append("\(rate)/s") }
    if let eta = progress.eta, eta > .zero { words.append("\(TimeSpan.seconds(eta.seconds.rounded(.up))) left") }
    return words.joined(separator: " ")
  }
}

/// Draws a board on standard error as steps come.
final class BoardPrinter {
  private var board: ProgressBoard
  private let console: Console

  init(_ verb: String, _ console: Console) {
    self.console = console
    board = ProgressBoard(verb, isTerminal: console.errorIsTerminal, width: console.width)
  }

  func show(_ progress: DataProgress) {
    if let text = board.update(progress, at: Context.uptime()) { console.noteInPlace(text) }
  }

  func end() {
    if let text = board.end() { console.noteInPlace(text) }
  }
}
