internal import Domain
internal import Yams

/// One mapping of a job file, its keys checked; reads values and notes what is wrong with them.
///
/// A value that is absent or wrong reads as nil: in the second case the log knows, and the file is refused at the end.
struct Section {
  let level: Level
  let mark: Mark?
  let log: IssueLog
  private var values: [String: Node] = [:]

  /// Takes the known keys of `node`; nil where it is no mapping.
  init?(_ node: Node, _ level: Level, _ log: IssueLog) {
    self.level = level
    self.log = log
    mark = node.mark
    guard case .mapping(let mapping) = node else {
      log.add(
        "\(level.name.isEmpty ? "a job file" : level.name): expected keys with values, found \(node.kind)", at: mark)
      return nil
    }
    for (key, value) in mapping {
      guard case .scalar(let scalar) = key else {
        log.add("expected a key, found \(key.kind)", at: key.mark)
        continue
      }
      if let complaint = level.complaint(about: scalar.string) {
        log.add(complaint, at: scalar.mark)
      } else {
        values[scalar.string] = value
      }
    }
  }

  /// The name of `key` as messages say it, as in `resources.nodes`.
  func path(_ key: String) -> String { level.name.isEmpty ? key : "\(level.name).\(key)" }

  /// What stands at `key`.
  func node(_ key: String) -> Node? { values[key] }

  /// The mapping at `key`.
  func section(_ key: String, _ level: Level) -> Section? { values[key].flatMap { Section($0, level, log) } }

  /// The elements of the list at `key`.
  func list(_ key: String) -> [Node]? {
    guard let node = values[key] else { return nil }
    guard case .sequence(let sequence) = node else {
      log.add("\(path(key)): expected a list, found \(node.kind)", at: node.mark)
      return nil
    }
    return Array(sequence)
  }

  /// The text at `key`, as it is written: a number is text too.
  func text(_ key: String, longest: Int = 128) -> String? {
    values[key].flatMap { text(of: $0, path(key), longest: longest) }
  }

  /// The text of a node that messages call `name`: not empty, no control characters but line ends and tabs.
  func text(of node: Node, _ name: String, longest: Int) -> String? {
    guard case .scalar(let scalar) = node, !scalar.isNull else {
      log.add("\(name): expected text, found \(node.kind)", at: node.mark)
      return nil
    }
    // Scalars, since one Character may be as long as it likes.
    let scalars = scalar.string.unicodeScalars
    guard !scalars.isEmpty, scalars.count <= longest else {
      log.add("\(name): expected 1 to \(longest) characters, found \(scalars.count)", at: node.mark)
      return nil
    }
    guard scalars.allSatisfy({ $0.isPrintable || ["\n", "\r", "\t"].contains($0) }) else {
      log.add("\(name): has control characters", at: node.mark)
      return nil
    }
    return scalar.string
  }

  /// A text of one line at `key`, without anything that a terminal would act on.
  func word(_ key: String) -> String? { values[key].flatMap { word(of: $0, path(key)) } }

  /// A text of one line of a node that messages call `name`.
  func word(of node: Node, _ name: String) -> String? {
    guard let text = text(of: node, name, longest: 128) else { return nil }
    guard text.unicodeScalars.allSatisfy(\.isPrintable) else {
      log.add("\(name): has more than one line, or a tab", at: node.mark)
      return nil
    }
    return text
  }

  /// The whole number at `key`, in `range`.
  func integer(_ key: String, in range: ClosedRange<Int>) -> Int? {
    values[key].flatMap { integer(of: $0, path(key), in: range) }
  }

  /// The whole number of a node that messages call `name`, in `range`.
  func integer(of node: Node, _ name: String, in range: ClosedRange<Int>) -> Int? {
    let wanted =
      range == Int.min...Int.max ? "a whole number" : "a whole number from \(range.lowerBound) to \(range.upperBound)"
    guard case .scalar(let scalar) = node, scalar.style == .plain, let number = Int(scalar.string),
      range.contains(number)
    else {
      log.add("\(name): expected \(wanted), found \(node.kind)", at: node.mark)
      return nil
    }
    return number
  }

  /// The whole number at `key`, or from one to another as in `2-8`; all in `range`.
  func range(_ key: String, in range: ClosedRange<Int>) -> ClosedRange<Int>? {
    guard case .scalar(let scalar)? = values[key], scalar.string.dropFirst().contains("-") else {
      return integer(key, in: range).map { $0...$0 }
    }
    let ends = scalar.string.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
    guard ends.count == 2, let least = ends[0], let most = ends[1], range.contains(least), range.contains(most),
      least <= most
    else {
      log.add(
        "\(path(key)): expected a whole number, or the fewest and the most as in 2-8, from \(range.lowerBound) to "
          + "\(range.upperBound), found '\(scalar.string)'", at: values[key]?.mark)
      return nil
    }
    return least...most
  }

  /// True or false at `key`.
  func boolean(_ key: String) -> Bool? {
    guard let node = values[key] else { return nil }
    if case .scalar(let scalar) = node, scalar.style == .plain, let value = Bool(scalar.string) { return value }
    log.add("\(path(key)): expected true or false, found \(node.kind)", at: node.mark)
    return nil
  }

  /// The duration at `key`, at least one second.
  ///
  /// Read from the text: YAML 1.1 would make 120 of `2:00`.
  func duration(_ key: String) -> TimeSpan? {
    guard let node = values[key] else { return nil }
    guard case .scalar(let scalar) = node, !scalar.isNull else {
      log.add("\(path(key)): expected a duration as in 2h30m, found \(node.kind)", at: node.mark)
      return nil
    }
    do {
      let span = try TimeSpan(parsing: scalar.string)
      if span >= .seconds(1) { return span }
      log.add("\(path(key)): expected at least 1s, found '\(scalar.string)'", at: node.mark)
    } catch {
      log.add("\(path(key)): \(error)", at: node.mark)
    }
    return nil
  }

  /// The amount of data at `key`.
  func size(_ key: String) -> ByteCount? {
    guard let node = values[key] else { return nil }
    if case .scalar(let scalar) = node, let size = ByteCount(parsing: scalar.string) { return size }
    log.add("\(path(key)): expected an amount of data as in 10GiB, found \(node.kind)", at: node.mark)
    return nil
  }
}

extension Node.Scalar {
  /// Whether YAML means nothing by it.
  var isNull: Bool { style == .plain && ["", "~", "null", "Null", "NULL"].contains(string) }
}

extension Node {
  /// What it is, for a message.
  var kind: String {
    switch self {
    case .mapping: "keys with values"
    case .sequence: "a list"
    case .alias: "an alias"
    case .scalar(let scalar) where scalar.isNull: "nothing"
    case .scalar(let scalar):
      (scalar.style == .plain && Double(scalar.string) != nil ? "the number " : "the text ")
        + "'\(scalar.string.prefix(40))\(scalar.string.count > 40 ? "..." : "")'"
    }
  }
}

extension Unicode.Scalar {
  /// Whether a terminal shows it, rather than acting on it: no control, no line separator, no change of direction.
  fileprivate var isPrintable: Bool {
    switch properties.generalCategory {
    case .control, .lineSeparator, .paragraphSeparator, .surrogate: false
    default: !(0x202A...0x202E).contains(value) && !(0x2066...0x2069).contains(value)
    }
  }
}
