import Foundation

/// A curve for the terminal, in braille dots, with axes and marks at boundaries.
///
/// Where a column of dots stands for several points, it shows all that lies between the lowest and the highest. Values
/// that are all positive and span more than `spanOfLinear` are drawn by their logarithm, and the title says so: a loss
/// that falls from 20 to 0.01 would else be a line along the floor.
struct Plot: Sendable, Hashable {
  /// The largest ratio of two values that is drawn as it is.
  static let spanOfLinear = 50.0

  /// One point.
  struct Point: Sendable, Hashable {
    var x: Double
    var y: Double
  }

  /// A vertical line with a sentence below the plot.
  struct Boundary: Sendable, Hashable {
    var x: Double
    var label: String
  }

  var title: String
  var xLabel: String
  /// The points; those that are no finite number are left out.
  var points: [Point]
  var boundaries: [Boundary] = []
  /// More curves over the first: then each is drawn by a letter of its own, `a` first, and `*` where several meet.
  var overlays: [[Point]] = []

  init(title: String, xLabel: String, points: [Point], boundaries: [Boundary] = [], overlays: [[Point]] = []) {
    self.title = Printable.line(title)
    self.xLabel = Printable.line(xLabel)
    self.points = points.filter { $0.x.isFinite && $0.y.isFinite }
    self.overlays = overlays.map { $0.filter { $0.x.isFinite && $0.y.isFinite } }
    self.boundaries = boundaries.filter { $0.x.isFinite }
  }

  /// The lines: title, curve with axes, and one line for each boundary.
  ///
  /// - Parameters:
  ///   - width: columns in all; at least 30 are used.
  ///   - height: rows of the curve; at least 3 are used.
  func rendered(width: Int, height: Int, paint: (String, Ink?) -> String = { text, _ in text }) -> String {
    let curves = [points] + overlays
    guard let plain = Range(curves.flatMap(\.self)) else { return "\(title): no values yet" }
    let isLogarithmic = plain.yLow > 0 && plain.yHigh / plain.yLow > Self.spanOfLinear
    let drawn = curves.map { curve in isLogarithmic ? curve.map { Point(x: $0.x, y: log10($0.y)) } : curve }
    guard let range = Range(drawn.flatMap(\.self)) else { return "\(title): no values yet" }
    let title = isLogarithmic ? "\(title), logarithmic" : title
    let step = isLogarithmic ? plain.yLow : plain.ySpan
    let labels = [plain.yHigh, plain.yLow].map { Self.number($0, step: step) }
    let margin = (labels.map(\.count).max() ?? 0) + 1
    let columns = max(30, width) - margin - 1
    let rows = max(3, height)
    let canvases = drawn.map { curve in
      var canvas = Canvas(columns: columns, rows: rows)
      Self.draw(curve, in: &canvas, range)
      return canvas
    }
    let marks = boundaryColumns(columns, range)

    var lines = [paint(title, .bold)]
    for row in 0..<rows {
      let label = row == 0 ? labels[0] : row == rows - 1 ? labels[1] : ""
      var line = String(repeating: " ", count: margin - 1 - label.count) + label + " │"
      for column in 0..<columns {
        let here = canvases.indices.filter { canvases[$0].cell(column, row) != 0 }
        if let first = here.first {
          let one = overlays.isEmpty ? Canvas.character(canvases[first].cell(column, row)) : Self.letter(first)
          line += paint(here.count > 1 ? "*" : one, Self.ink(first))
        } else {
          line += marks.contains(column) ? paint("┊", .yellow) : " "
        }
      }
      lines.append(Self.trimmed(line))
    }
    lines.append(axis(margin, columns, marks, paint))
    lines.append(axisLabels(margin, columns, range))
    for boundary in boundaries {
      lines.append(
        paint("┊", .yellow) + " \(xLabel) \(Self.number(boundary.x, step: 1)): " + Printable.line(boundary.label))
    }
    return lines.joined(separator: "\n")
  }

  /// What stands for the n-th curve where there are several.
  static func letter(_ curve: Int) -> String {
    curve < 26 ? String(Character(Unicode.Scalar(UInt8(ascii: "a") + UInt8(curve)))) : "?"
  }

  private static func ink(_ curve: Int) -> Ink { [.cyan, .yellow, .green, .red][curve % 4] }

  private func axis(
    _ margin: Int, _ columns: Int, _ marks: Set<Int>, _ paint: (String, Ink?) -> String
  ) -> String {
    String(repeating: " ", count: margin) + "└"
      + (0..<columns).map { marks.contains($0) ? paint("┴", .yellow) : "─" }.joined()
  }

  private func axisLabels(_ margin: Int, _ columns: Int, _ range: Range) -> String {
    let left = Self.number(range.xLow, step: range.xSpan)
    let right = Self.number(range.xHigh, step: range.xSpan)
    let room = columns - left.count - right.count
    let name = xLabel.count + 2 <= room ? xLabel : ""
    let before = max(1, (room - name.count) / 2)
    let after = max(1, room - name.count - before)
    return String(repeating: " ", count: margin + 1) + left + String(repeating: " ", count: before) + name
      + String(repeating: " ", count: after) + right
  }

  private func boundaryColumns(_ columns: Int, _ range: Range) -> Set<Int> {
    Set(
      boundaries.filter { range.xLow <= $0.x && $0.x <= range.xHigh }
        .map { Int((($0.x - range.xLow) / range.xSpan * Double(columns * 2 - 1)).rounded()) / 2 })
  }

  private static func draw(_ points: [Point], in canvas: inout Canvas, _ range: Range) {
    let width = canvas.columns * 2
    let height = canvas.rows * 4
    var bands: [ClosedRange<Int>?] = Array(repeating: nil, count: width)
    for point in points {
      let x = Int(((point.x - range.xLow) / range.xSpan * Double(width - 1)).rounded())
      let y = Int(((range.yHigh - point.y) / range.ySpan * Double(height - 1)).rounded())
      bands[x] = bands[x].map { min($0.lowerBound, y)...max($0.upperBound, y) } ?? y...y
    }
    for (x, band) in bands.enumerated() {
      guard let band else { continue }
      for y in band { canvas.set(x, y) }
    }
  }

  /// What the points span; never of no width.
  private struct Range {
    var xLow: Double
    var xHigh: Double
    var yLow: Double
    var yHigh: Double
    var xSpan: Double { max(xHigh - xLow, .leastNormalMagnitude) }
    var ySpan: Double { max(yHigh - yLow, .leastNormalMagnitude) }

    init?(_ points: [Point]) {
      guard let first = points.first else { return nil }
      (xLow, xHigh, yLow, yHigh) = (first.x, first.x, first.y, first.y)
      for point in points {
        xLow = min(xLow, point.x)
        xHigh = max(xHigh, point.x)
        yLow = min(yLow, point.y)
        yHigh = max(yHigh, point.y)
      }
      if xLow == xHigh { xHigh += 1 }
      if yLow == yHigh { yHigh += max(1, abs(yHigh)) * 0.5 }
    }
  }

  /// `value`, with as many places as a difference of `step` over the plot needs.
  static func number(_ value: Double, step: Double) -> String {
    if value == value.rounded(), abs(value) < 1e9 { return String(Int64(value)) }
    if abs(value) >= 1e6 || abs(value) < 1e-4 {
      let exponent = Int(log10Floor(abs(value)))
      return "\(fixed(value / power(exponent), 2))e\(exponent)"
    }
    return fixed(value, step >= 100 ? 0 : step >= 10 ? 1 : step >= 0.1 ? 2 : 4)
  }

  /// `value` with `places` digits after the point.
  static func fixed(_ value: Double, _ places: Int) -> String {
    let scale = power(places)
    let scaled = Int64((abs(value) * scale).rounded())
    let sign = value < 0 && scaled != 0 ? "-" : ""
    guard places > 0 else { return sign + String(scaled) }
    let digits = String(scaled)
    let padded = String(repeating: "0", count: max(0, places + 1 - digits.count)) + digits
    return sign + padded.dropLast(places) + "." + padded.suffix(places)
  }

  private static func power(_ exponent: Int) -> Double {
    var result = 1.0
    for _ in 0..<abs(exponent) { result *= 10 }
    return exponent < 0 ? 1 / result : result
  }

  private static func log10Floor(_ value: Double) -> Double {
    guard value > 0 else { return 0 }
    var exponent = 0.0
    var rest = value
    while rest >= 10 {
      rest /= 10
      exponent += 1
    }
    while rest < 1 {
      rest *= 10
      exponent -= 1
    }
    return exponent
  }

  private static func trimmed(_ line: String) -> String {
    var line = line[...]
    while line.last == " " { line = line.dropLast() }
    return String(line)
  }
}

/// Cells of two by four dots each.
private struct Canvas {
  let columns: Int
  let rows: Int
  private var cells: [UInt8]

  init(columns: Int, rows: Int) {
    self.columns = columns
    self.rows = rows
    cells = Array(repeating: 0, count: columns * rows)
  }

  /// The bit of each dot of a cell, by row and column; the order is that of Unicode's braille patterns.
  private static let bits: [[UInt8]] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]]

  mutating func set(_ x: Int, _ y: Int) {
    cells[y / 4 * columns + x / 2] |= Self.bits[y % 4][x % 2]
  }

  func cell(_ column: Int, _ row: Int) -> UInt8 { cells[row * columns + column] }

  static func character(_ dots: UInt8) -> String {
    Unicode.Scalar(0x2800 + UInt32(dots)).map { String(Character($0)) } ?? " "
  }
}
