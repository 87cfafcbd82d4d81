/// What differs between two texts, line by line, as `diff -u` shows it.
///
/// E. Myers, An O(ND) difference algorithm and its variations, 1986; past `editsMost` edits what differs is shown as one piece.
public struct LineDiff: Hashable, Sendable {
  /// More edits than these make nobody the wiser, and cost their square.
  static let editsMost = 600
  private static let context = 3

  private enum Edit: Hashable, Sendable {
    case same(old: Int, new: Int)
    case gone(Int)
    case came(Int)

    var isSame: Bool { if case .same = self { true } else { false } }
  }

  private let old: [Substring]
  private let new: [Substring]
  private let edits: [Edit]

  /// Compares two texts.
  public init(_ old: String, _ new: String) {
    self.old = Self.lines(old)
    self.new = Self.lines(new)
    edits = Self.edits(self.old, self.new)
  }

  /// Whether nothing differs.
  public var isEmpty: Bool { edits.allSatisfy(\.isSame) }

  /// Hunks with three lines around them; at most `linesMost` lines, and a last one that says how many there are more.
  public func unified(linesMost: Int = 400) -> String {
    var lines: [String] = []
    for hunk in hunks() { lines += text(of: hunk) }
    guard lines.count > linesMost else { return lines.joined(separator: "\n") }
    return (lines.prefix(linesMost) + ["... and \(lines.count - linesMost) more lines"]).joined(separator: "\n")
  }

  private static func lines(_ text: String) -> [Substring] {
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    if lines.last?.isEmpty == true { lines.removeLast() }
    return lines
  }

  /// Stretches of edits that are not far from each other.
  private func hunks() -> [Range<Int>] {
    var hunks: [Range<Int>] = []
    for index in edits.indices where !edits[index].isSame {
      let from = max(0, index - Self.context)
      let to = min(edits.count, index + Self.context + 1)
      if let last = hunks.last, from <= last.upperBound {
        hunks[hunks.count - 1] = last.lowerBound..<to
      } else {
        hunks.append(from..<to)
      }
    }
    return hunks
  }

  private func text(of hunk: Range<Int>) -> [String] {
    var lines: [String] = []
    var (oldCount, newCount) = (0, 0)
    let before = edits[..<hunk.lowerBound]
    let oldStart = before.count { if case .came = $0 { false } else { true } }
    let newStart = before.count { if case .gone = $0 { false } else { true } }
    for edit in edits[hunk] {
      switch edit {
      case .same(let place, _):
        lines.append(" \(old[place])")
        oldCount += 1
        newCount += 1
      case .gone(let place):
        lines.append("-\(old[place])")
        oldCount += 1
      case .came(let place):
        lines.append("+\(new[place])")
        newCount += 1
      }
    }
    func place(_ start: Int, _ count: Int) -> String { "\(count == 0 ? start : start + 1),\(count)" }
    return ["@@ -\(place(oldStart, oldCount)) +\(place(newStart, newCount)) @@"] + lines
  }

  private static func edits(_ old: [Substring], _ new: [Substring]) -> [Edit] {
    var head = 0
    while head < old.count, head < new.count, old[head] == new[head] { head += 1 }
    var tail = 0
    while tail < old.count - head, tail < new.count - head, old[old.count - 1 - tail] == new[new.count - 1 - tail] {
      tail += 1
    }
    let middle = middleEdits(old[head..<(old.count - tail)], new[head..<(new.count - tail)])
    return (0..<head).map { .same(old: $0, new: $0) } + middle
      + (0..<tail).map { .same(old: old.count - tail + $0, new: new.count - tail + $0) }
  }

  /// The shortest edits from one slice to the other; all gone and all come where those are too many.
  private static func middleEdits(_ old: ArraySlice<Substring>, _ new: ArraySlice<Substring>) -> [Edit] {
    let (n, m) = (old.count, new.count)
    let replaced = old.indices.map { Edit.gone($0) } + new.indices.map { .came($0) }
    guard n > 0, m > 0 else { return replaced }
    let most = min(n + m, editsMost)
    // `reach[k + most]`: how far down `old` one comes on diagonal k; the rows before are kept to find the way back.
    var reach = [Int](repeating: 0, count: 2 * most + 2)
    var rows: [[Int]] = []
    for edits in 0...most {
      rows.append(reach)
      for k in stride(from: -edits, through: edits, by: 2) {
        let goesDown = k == -edits || (k != edits && reach[k - 1 + most] < reach[k + 1 + most])
        var x = goesDown ? reach[k + 1 + most] : reach[k - 1 + most] + 1
        while x < n, x - k < m, x - k >= 0, old[old.startIndex + x] == new[new.startIndex + x - k] { x += 1 }
        reach[k + most] = x
        if k == n - m, x >= n { return way(back: rows, most: most, old, new) }
      }
    }
    return replaced
  }

  private static func way(
    back rows: [[Int]], most: Int, _ old: ArraySlice<Substring>, _ new: ArraySlice<Substring>
  ) -> [Edit] {
    var found: [Edit] = []
    var (x, y) = (old.count, new.count)
    for edits in rows.indices.reversed() {
      let reach = rows[edits]
      let k = x - y
      let cameDown = k == -edits || (k != edits && reach[k - 1 + most] < reach[k + 1 + most])
      let before = cameDown ? k + 1 : k - 1
      let beforeX = edits == 0 ? 0 : reach[before + most]
      let beforeY = edits == 0 ? 0 : beforeX - before
      while x > beforeX, y > beforeY {
        x -= 1
        y -= 1
        found.append(.same(old: old.startIndex + x, new: new.startIndex + y))
      }
      guard edits > 0 else { break }
      if cameDown {
        y -= 1
        found.append(.came(new.startIndex + y))
      } else {
        x -= 1
        found.append(.gone(old.startIndex + x))
      }
    }
    return found.reversed()
  }
}
