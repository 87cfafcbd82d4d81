import Foundation

/// What a figure is to be; printed and written as `>= 126`.
struct Goal: Sendable {
  /// How value and bound are compared.
  enum Relation: String, Sendable {
    case atMost = "<="
    case below = "<"
    case atLeast = ">="
    case above = ">"
    case equal = "="
  }

  var relation: Relation
  var bound: Double

  static func atMost(_ bound: Double) -> Goal { Goal(relation: .atMost, bound: bound) }
  static func below(_ bound: Double) -> Goal { Goal(relation: .below, bound: bound) }
  static func atLeast(_ bound: Double) -> Goal { Goal(relation: .atLeast, bound: bound) }
  static func above(_ bound: Double) -> Goal { Goal(relation: .above, bound: bound) }
  static func equal(_ bound: Double) -> Goal { Goal(relation: .equal, bound: bound) }

  /// Whether `value` is as it is to be; a value that could not be measured never is.
  func holds(for value: Double?) -> Bool {
    guard let value else { return false }
    return switch relation {
    case .atMost: value <= bound
    case .below: value < bound
    case .atLeast: value >= bound
    case .above: value > bound
    case .equal: value == bound
    }
  }

  var text: String { "\(relation.rawValue) \(Figure.text(bound))" }
}

/// One measured thing.
struct Figure: Sendable, Encodable {
  var name: String
  /// Nil where it could not be measured.
  var value: Double?
  var unit: String
  var goal: Goal?
  /// The peer or limit that it stands beside, with its figure and where that comes from.
  var against: String?
  /// Every single measurement, in the order in which it was made.
  var samples: [Double]

  init(
    _ name: String, _ value: Double?, _ unit: String, goal: Goal? = nil, against: String? = nil, samples: [Double] = []
  ) {
    self.name = name
    self.value = value
    self.unit = unit
    self.goal = goal
    self.against = against
    self.samples = samples.isEmpty ? value.map { [$0] } ?? [] : samples
  }

  /// The median of `samples`.
  static func median(
    _ name: String, _ samples: [Double], _ unit: String, goal: Goal? = nil, against: String? = nil
  ) -> Figure {
    Figure(name, samples.median, unit, goal: goal, against: against, samples: samples)
  }

  var holds: Bool? { goal?.holds(for: value) }

  private enum CodingKeys: String, CodingKey { case name, value, unit, goal, holds, against, samples }

  /// Writes every key, also those without a value; numbers to the microsecond.
  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(name, forKey: .name)
    try container.encode(value.map(Self.rounded), forKey: .value)
    try container.encode(unit, forKey: .unit)
    try container.encode(goal?.text, forKey: .goal)
    try container.encode(holds, forKey: .holds)
    try container.encode(against, forKey: .against)
    try container.encode(samples.map(Self.rounded), forKey: .samples)
  }

  private static func rounded(_ value: Double) -> Double { (value * 1e6).rounded() / 1e6 }

  /// A number for people: whole ones as they are, others with three digits that count.
  static func text(_ value: Double) -> String {
    if value == value.rounded(), abs(value) < 1e9 { return String(format: "%.0f", value) }
    let places = abs(value) >= 100 ? 0 : abs(value) >= 10 ? 1 : abs(value) >= 1 ? 2 : 4
    return String(format: "%.\(places)f", value)
  }
}

/// All figures of a bench, as `benchmarks/results/NAME.json` holds them.
struct BenchResult: Sendable, Encodable {
  var name: String
  var machine: String
  var figures: [Figure]

  /// Prints the table and writes the file.
  func publish(to folder: String) throws {
    print(table)
    print("written to \(try write(to: folder))")
  }

  /// Writes the file in place of the one that is there; returns its path.
  @discardableResult
  func write(to folder: String) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    let file = URL(fileURLWithPath: BenchOptions.absolute(folder)).appendingPathComponent("\(name).json")
    try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data((String(decoding: try encoder.encode(self), as: UTF8.self) + "\n").utf8).write(to: file, options: .atomic)
    return file.path
  }

  private var table: String {
    var rows = [["figure", "value", "unit", "goal", "holds", "samples", "against"]]
    for figure in figures {
      rows.append([
        figure.name, figure.value.map(Figure.text) ?? "-", figure.unit, figure.goal?.text ?? "",
        figure.holds.map { $0 ? "yes" : "NO" } ?? "", "\(figure.samples.count)", figure.against ?? "",
      ])
    }
    let widths = rows[0].indices.map { column in rows.reduce(0) { max($0, $1[column].count) } }
    let lines = rows.map { row in
      let cells = zip(row, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }
      return cells.joined(separator: "  ").trimmingCharacters(in: .whitespaces)
    }
    return (["", "\(name), on \(machine)", ""] + lines + [""]).joined(separator: "\n")
  }
}

extension [Double] {
  /// The middle one, or the mean of the two in the middle; nil of none.
  var median: Double? {
    guard !isEmpty else { return nil }
    let sorted = self.sorted()
    return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2
  }

  /// The 95th percentile, by nearest rank; nil of none.
  var percentile95: Double? {
    guard !isEmpty else { return nil }
    return sorted()[Swift.max(0, (count * 95 + 99) / 100 - 1)]
  }
}
