import Domain
import Foundation
import Store

/// One line of `BATON_METRICS`.
///
/// Values may be `NaN`, `Infinity` and `-Infinity`, as Python writes them though JSON has none: whoever looks at a curve
/// wants to see where it went wrong.
enum MetricLine {
  private struct Line: Decodable {
    var step: Int64
    var metric: String
    var value: Double
    var time: Double?
  }

  /// A metric's name has at most so many bytes.
  static let nameLimit = 200
  /// The years 1970 to 9999: any other time is none.
  private static let times = 0.0..<253_402_300_800

  /// A point; nil for a line that is not one, since a program's slip must not stop its run.
  ///
  /// Nothing passes that the database would refuse: the line would come again and again, and the run never end.
  static func parse(_ text: String) -> MetricPoint? {
    // Most lines are a flat object of four fields, which takes a tenth of the time; all else is what JSON says it is.
    guard let line = flat(text) ?? decoded(text), line.step >= 0,
      (1...nameLimit).contains(line.metric.utf8.count), line.metric.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F })
    else { return nil }
    let time = line.time.flatMap { times.contains($0) ? $0 : nil }
    return MetricPoint(
      metric: line.metric, step: line.step, value: line.value, recordedAt: Timestamp(secondsSinceEpoch: time ?? 0))
  }

  private static func decoded(_ text: String) -> Line? {
    let line = try? JSONDecoder().decode(Line.self, from: Data(text.utf8))
    return line.flatMap { $0.value.isFinite ? $0 : nil }
  }

  /// The line where it is an object of plain fields: names and texts without escapes, numbers, nothing nested.
  private static func flat(_ text: String) -> Line? {
    var text = text
    return text.withUTF8 { bytes -> Line? in
      var reader = FlatObject(bytes)
      var step: Int64?
      var metric: String?
      var value: Double?
      var time: Double?
      guard reader.open() else { return nil }
      while let field = reader.next() {
        switch (field.name, field.value) {
        case ("step", .token(let token)): step = Int64(token)
        case ("metric", .text(let text)): metric = text
        case ("value", .token(let token)), ("value", .text(let token)): value = number(token)
        case ("time", .token(let token)) where token != "null": time = number(token)
        case ("step", _), ("metric", _), ("value", _): return nil
        default: break
        }
      }
      guard reader.isClosed, let step, let metric, let value else { return nil }
      return Line(step: step, metric: metric, value: value, time: time)
    }
  }

  /// A number of JSON that a `Double` holds, or what Python writes for one that is none.
  private static func number(_ token: String) -> Double? {
    switch token {
    case "NaN": return .nan
    case "Infinity": return .infinity
    case "-Infinity": return -.infinity
    default:
      // Swift reads more than JSON writes, as in `inf` and `0x1p3`.
      let isPlain = token.utf8.allSatisfy { (0x30...0x39).contains($0) || "+-.eE".utf8.contains($0) }
      guard isPlain, let value = Double(token), value.isFinite else { return nil }
      return value
    }
  }
}

/// Reads an object of plain fields from bytes that outlive it; stops at the first thing that is none.
private struct FlatObject {
  enum Value {
    case text(String)
    case token(String)
  }

  /// Whether the object ended, and nothing came after it.
  private(set) var isClosed = false
  private let bytes: UnsafeBufferPointer<UInt8>
  private var place = 0
  private var isFirst = true

  init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

  mutating func open() -> Bool { take(UInt8(ascii: "{")) }

  /// The next field; nil at the end, or where it is not a plain one.
  mutating func next() -> (name: String, value: Value)? {
    if take(UInt8(ascii: "}")) {
      skipSpace()
      isClosed = place == bytes.count
      return nil
    }
    if !isFirst, !take(UInt8(ascii: ",")) { return nil }
    isFirst = false
    guard take(UInt8(ascii: "\"")), let name = text(), take(UInt8(ascii: ":")) else { return nil }
    if take(UInt8(ascii: "\"")) { return text().map { (name, .text($0)) } }
    return token().map { (name, .token($0)) }
  }

  private mutating func skipSpace() {
    while place < bytes.count, [0x20, 0x09, 0x0D].contains(bytes[place]) { place += 1 }
  }

  private mutating func take(_ byte: UInt8) -> Bool {
    skipSpace()
    guard place < bytes.count, bytes[place] == byte else { return false }
    place += 1
    return true
  }

  /// What stands up to the next quotation mark.
  private mutating func text() -> String? {
    let start = place
    while place < bytes.count, bytes[place] != UInt8(ascii: "\"") {
      guard bytes[place] != UInt8(ascii: "\\"), bytes[place] >= 0x20 else { return nil }
      place += 1
    }
    guard place < bytes.count else { return nil }
    place += 1
    return String(decoding: bytes[start..<place - 1], as: UTF8.self)
  }

  /// A number, or a word as `null`.
  private mutating func token() -> String? {
    skipSpace()
    let start = place
    while place < bytes.count, isOfToken(bytes[place]) { place += 1 }
    return place > start ? String(decoding: bytes[start..<place], as: UTF8.self) : nil
  }

  private func isOfToken(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
      UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."):
      true
    default: false
    }
  }
}
