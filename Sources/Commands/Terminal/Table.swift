/// Rows under headings, aligned in columns; cut to a width only where one is given.
struct Table: Sendable, Hashable {
  /// One column.
  struct Column: Sendable, Hashable {
    var title: String
    /// Numbers stand to the right.
    var isRight = false
    /// May be cut when the table is too wide.
    var shrinks = false

    init(_ title: String, isRight: Bool = false, shrinks: Bool = false) {
      self.title = title
      self.isRight = isRight
      self.shrinks = shrinks
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
    let headings = columns.map { Cell($0.title, .bold) }
    return ([headings] + rows).map { row in
      var line = ""
      var pending = ""
      for (index, cell) in row.enumerated() {
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
      // The widest gives way first, down to its heading.
      let candidates = columns.indices.filter { columns[$0].shrinks && widths[$0] > max(columns[$0].title.count, 6) }
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

  /// The lines.
  func rendered(paint: (String, Ink?) -> String = { text, _ in text }) -> String {
    let width = pairs.reduce(0) { max($0, $1.name.count) }
    return pairs.map { pair in
      paint(pair.name, .faint) + String(repeating: " ", count: width - pair.name.count + 2)
        + paint(pair.cell.text, pair.cell.ink)
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
