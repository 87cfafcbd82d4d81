/// Rows under headings, aligned in columns; cut to a width only where one is given.
struct Table: Sendable, Hashable {
  /// One column.
  struct Column: Sendable, Hashable {
    var title: String
    /// Numbers stand to the right.
    var isRight = false
    /// May be cut when the table is too wide.
    var shrinks = false
    /// Left out when the table is too wide even so, the lowest first; nil is never left out.
    var drops: Int?
    /// Goes on below itself when the table is too wide; for the last column.
    var wraps = false

    init(_ title: String, isRight: Bool = false, shrinks: Bool = false, drops: Int? = nil, wraps: Bool = false) {
      self.title = title
      self.isRight = isRight
      self.shrinks = shrinks
      self.drops = drops
      self.wraps = wraps
    }
  }

  /// One cell.
  struct Cell: Sendable, Hashable, ExpressibleByStringLiteral, ExpressibleByStringInterpolation {
    var text: String
    var ink: Ink?

    init(_ text: String, _ ink: Ink? = nil) {
      self.text = Printable.line(text)
      self.ink = ink
    }

    init(stringLiteral value: String) { self.init(value) }
  }

  var columns: [Column]
  var rows: [[Cell]] = []

  init(_ columns: [Column]) { self.columns = columns }

  /// Adds a row; a missing cell is empty, one too many is dropped.
  mutating func add(_ cells: [Cell]) {
    rows.append((0..<columns.count).map { $0 < cells.count ? cells[$0] : Cell("") })
  }

  /// The lines of the table, headings first, without spaces at their ends.
  func rendered(width: Int?, paint: (String, Ink?) -> String = { text, _ in text }) -> String {
    let widths = columnWidths(within: width)
    if let width, widths.reduce(0, +) + 2 * (columns.count - 1) > width,
      let first = columns.indices.filter({ columns[$0].drops != nil })
        .min(by: { columns[$0].drops ?? 0 < columns[$1].drops ?? 0 })
    {
      var narrower = self
      narrower.columns.remove(at: first)
      for row in rows.indices { narrower.rows[row].remove(at: first) }
      return narrower.rendered(width: width, paint: paint)
    }
    let headings = columns.map { Cell($0.title, .bold) }
    return ([headings] + rows).map { row in
      var line = ""
      var pending = ""
      for (index, cell) in row.enumerated() {
        if columns[index].wraps, cell.text.count > widths[index] {
          let margin = String(repeating: " ", count: widths[..<index].reduce(0, +) + 2 * index)
          line += pending
          line += Prose.lines(cell.text, width: widths[index]).map { paint($0, cell.ink) }.joined(
            separator: "\n" + margin)
          continue
        }
        let text = Self.cut(cell.text, to: widths[index])
        let padding = String(repeating: " ", count: widths[index] - text.count)
        if columns[index].isRight { pending += padding }
        if !text.isEmpty {
          line += pending + paint(text, cell.ink)
          pending = ""
        }
        pending += columns[index].isRight ? "  " : padding + "  "
      }
      return line
    }.joined(separator: "\n")
  }

  private func columnWidths(within limit: Int?) -> [Int] {
    var widths = columns.indices.map { column in
      rows.reduce(columns[column].title.count) { max($0, $1[column].text.count) }
    }
    guard let limit else { return widths }
    var excess = widths.reduce(0, +) + 2 * (columns.count - 1) - limit
    while excess > 0 {
      // The widest gives way first, down to its heading or what can still be told apart.
      let candidates = columns.indices.filter {
        columns[$0].shrinks && widths[$0] > max(columns[$0].title.count, 10)
          || columns[$0].wraps && widths[$0] > max(columns[$0].title.count, 24)
      }
      guard let widest = candidates.max(by: { widths[$0] < widths[$1] }) else { break }
      widths[widest] -= 1
      excess -= 1
    }
    return widths
  }

  /// `text` in at most `width` characters; what is cut shows as `…`.
  static func cut(_ text: String, to width: Int) -> String {
    text.count <= width ? text : width <= 0 ? "" : text.prefix(width - 1) + "…"
  }
}

/// Names and values, one pair a line, values aligned.
struct Facts: Sendable, Hashable {
  private var pairs: [(name: String, cell: Table.Cell)] = []

  init() {}

  /// Adds a fact; nil adds nothing.
  mutating func add(_ name: String, _ value: String?, _ ink: Ink? = nil) {
    if let value { pairs.append((name, Table.Cell(value, ink))) }
  }

  /// The lines; values go on below themselves where `width` is given and too narrow for them.
  func rendered(width: Int? = nil, paint: (String, Ink?) -> String = { text, _ in text }) -> String {
    let names = pairs.reduce(0) { max($0, $1.name.count) } + 2
    let margin = String(repeating: " ", count: names)
    return pairs.map { pair in
      let room = width.map { max($0 - names, 20) } ?? Int.max
      let value = Prose.lines(pair.cell.text, width: room).map { paint($0, pair.cell.ink) }
      return paint(pair.name, .faint) + String(repeating: " ", count: names - pair.name.count)
        + value.joined(separator: "\n" + margin)
    }.joined(separator: "\n")
  }

  static func == (left: Facts, right: Facts) -> Bool {
    left.pairs.map(\.name) == right.pairs.map(\.name) && left.pairs.map(\.cell) == right.pairs.map(\.cell)
  }

  func hash(into hasher: inout Hasher) {
    for pair in pairs {
      hasher.combine(pair.name)
      hasher.combine(pair.cell)
    }
  }
}

/// Sentences, broken between words.
enum Prose {
  /// `text` in lines of at most `width` characters; only a word that is longer than that is broken.
  static func lines(_ text: String, width: Int) -> [String] {
    guard text.count > width, width > 0 else { return [text] }
    var lines: [String] = []
    var line = ""
    for word in text.split(separator: " ", omittingEmptySubsequences: false) {
      var word = word[...]
      if !line.isEmpty, line.count + 1 + word.count > width {
        lines.append(line)
        line = ""
      } else if !line.isEmpty {
        line += " "
      }
      while line.isEmpty, word.count > width {
        lines.append(String(word.prefix(width)))
        word = word.dropFirst(width)
      }
      line += word
    }
    return lines + (line.isEmpty ? [] : [line])
  }

  /// Every line of `text` broken so, going on two columns further in than it began; nil leaves it as it is.
  static func wrapped(_ text: String, width: Int?) -> String {
    guard let width else { return text }
    return text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
      guard line.count > width else { return String(line) }
      let spaces = line.prefix { $0 == " " }.count
      let margin = String(repeating: " ", count: spaces + 2)
      let parts = lines(String(line.dropFirst(spaces)), width: max(20, width - spaces - 2))
      return String(repeating: " ", count: spaces) + parts.joined(separator: "\n" + margin)
    }.joined(separator: "\n")
  }
}
