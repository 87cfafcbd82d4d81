import Foundation

/// A study's result as a table, and as curves for the terminal.
enum StudyText {
  /// The table: as many rows as values.
  static func table(_ result: StudyResult) -> Table {
    var columns: [Table.Column] = [
      .init(result.kind == .scaling ? "NODES" : "BATCH", isRight: true), .init("IMAGES/S", isRight: true),
      .init("SPREAD", isRight: true), .init("RUNS", isRight: true, drops: 0), .init("SPEED-UP", isRight: true),
    ]
    if result.kind == .scaling { columns.append(.init("EFFICIENCY", isRight: true)) }
    var table = Table(columns)
    for row in result.rows {
      let spread = row.speedUpDeviation.map { " ± " + number($0) } ?? ""
      table.add([
        "\(row.value)", .init(number(row.mean)), .init(row.deviation.map { "± " + number($0) } ?? "-"),
        "\(row.rates.count)", .init("\(number(row.speedUp))x\(spread)"), "\(Int((row.efficiency * 100).rounded()))%",
      ])
    }
    return table
  }

  /// Images a second over the value; in a scaling study with a line of what no loss would be.
  static func plot(_ result: StudyResult) -> Plot {
    Plot(
      title: "images a second", xLabel: result.kind == .scaling ? "nodes" : "batch size",
      points: result.rows.flatMap { row in
        row.rates.map { Plot.Point(x: Double(row.value), y: $0) }
      })
  }

  /// Two places below 100, one below 1,000, else none.
  static func number(_ value: Double) -> String {
    let places = abs(value) < 100 ? 2 : abs(value) < 1000 ? 1 : 0
    return String(format: "%.\(places)f", value)
  }
}

/// A study's result as one page that needs nothing else: a curve in SVG, and the table.
enum StudyPage {
  private static let width = 640.0
  private static let height = 360.0
  private static let margin = 56.0

  /// The page; `title` names the model.
  static func html(_ result: StudyResult, title: String) -> String {
    let table = StudyText.table(result)
    let rows = table.rows.map { row in
      "<tr>" + row.map { "<td>\(escaped($0.text))</td>" }.joined() + "</tr>"
    }
    let heads = table.columns.map { "<th>\(escaped($0.title.lowercased()))</th>" }.joined()
    return """
      <!doctype html>
      <meta charset="utf-8">
      <title>\(escaped(title))</title>
      <style>
      body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 44rem; color: #1c2733 }
      table { border-collapse: collapse; margin-top: 1rem } td, th { text-align: right; padding: .2rem 1rem; border-bottom: 1px solid #d5dbe1 }
      </style>
      <h1>\(escaped(title))</h1>
      \(svg(result))
      <table><thead><tr>\(heads)</tr></thead><tbody>
      \(rows.joined(separator: "\n"))
      </tbody></table>

      """
  }

  /// The curve of the means with a bar of one deviation either way; in a scaling study beside what no loss would be.
  static func svg(_ result: StudyResult) -> String {
    guard let first = result.rows.first, let last = result.rows.last else { return "<p>no run was measured</p>" }
    let ideal = result.kind == .scaling ? first.mean * Double(last.value) / Double(first.value) : 0
    let top = max(ideal, result.rows.map { $0.mean + ($0.deviation ?? 0) }.max() ?? 1) * 1.05
    let span = max(1, Double(last.value - first.value))
    func x(_ value: Int) -> Double { margin + Double(value - first.value) / span * (width - 2 * margin) }
    func y(_ rate: Double) -> Double { height - margin - rate / top * (height - 2 * margin) }
    func point(_ value: Int, _ rate: Double) -> String { "\(coordinate(x(value))) \(coordinate(y(rate)))" }

    var parts = [
      #"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 360" role="img" aria-label="images a second">"#,
      line("M\(margin) \(margin)V\(height - margin)H\(width - margin)", #"stroke="gray""#),
    ]
    if result.kind == .scaling {
      let ends = "M\(point(first.value, first.mean))L\(point(last.value, ideal))"
      parts.append(line(ends, #"stroke="gray" stroke-dasharray="5 5""#))
    }
    let curve = result.rows.map { point($0.value, $0.mean) }.joined(separator: "L")
    parts.append(line("M" + curve, #"stroke="steelblue" stroke-width="2""#))
    for row in result.rows {
      let bar = row.deviation ?? 0
      let (across, up) = (coordinate(x(row.value)), coordinate(y(row.mean)))
      parts.append(
        line("M\(point(row.value, row.mean - bar))L\(point(row.value, row.mean + bar))", #"stroke="steelblue""#))
      parts.append(#"<circle cx="\#(across)" cy="\#(up)" r="4" fill="steelblue"/>"#)
      parts.append(label("\(row.value)", x: x(row.value), y: height - margin + 20))
    }
    let axis = result.kind == .scaling ? "nodes" : "batch size"
    parts.append(label(axis, x: width / 2, y: height - 12))
    parts.append(label("images a second, up to \(StudyText.number(top))", x: width / 2, y: margin - 16))
    return (parts + ["</svg>"]).joined(separator: "\n")
  }

  private static func line(_ path: String, _ style: String) -> String {
    #"<path d="\#(path)" \#(style) fill="none"/>"#
  }

  private static func label(_ text: String, x: Double, y: Double) -> String {
    #"<text x="\#(coordinate(x))" y="\#(coordinate(y))" text-anchor="middle" font-size="13">\#(text)</text>"#
  }

  private static func coordinate(_ value: Double) -> String { String(format: "%.1f", value) }

  private static func escaped(_ text: String) -> String {
    text.map { character in
      switch character {
      case "&": "&amp;"
      case "<": "&lt;"
      case ">": "&gt;"
      case "\"": "&quot;"
      default: String(character)
      }
    }.joined()
  }
}
