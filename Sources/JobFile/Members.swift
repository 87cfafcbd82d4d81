public import Domain
internal import Yams

/// The jobs that one file makes: one, or the members of its `array` or `matrix`.
public struct JobFileMembers: Hashable, Sendable {
  /// One job of a group.
  public struct Member: Hashable, Sendable {
    /// The index of an array; the place in a matrix, from 0.
    public var index: Int
    /// What the matrix gives it, by name; empty for an array.
    public var values: [String: String]
    /// The job, with its own name and variables.
    public var spec: JobSpec
    /// A job file that makes this job alone, in a group of one.
    public var text: String
  }

  /// The group's name: the file's `name` up to where members differ.
  public var name: String
  /// How many may hold nodes at a time; nil is any number.
  public var atMost: Int?
  /// At least one, by index.
  public var members: [Member]
  /// How the number comes about, as in `lr 2 x batch 3`; one dimension for an array.
  public var dimensions: [String]

  /// The most jobs that one file makes.
  public static let most = 1000
}

/// What a job file asks for.
public enum JobFileContent: Hashable, Sendable {
  /// One job.
  case job(JobSpec)
  /// The members of an array or a matrix.
  case group(JobFileMembers)
}

/// Reads a job file that may have an `array` or a `matrix`: then every member is a job, read and checked as if its file had
/// been written out.
///
/// In all values of the file `${{ array.index }}` and `${{ matrix.NAME }}` stand for what a member has; `$${{` is no
/// beginning of such a word. Throws as
/// `parseJobFile` does; what is wrong with every member is told once.
public func parseJobFileMembers(_ text: String, fileName: String) throws(JobFileError) -> JobFileContent {
  let log = IssueLog()
  guard let root = YAMLTree.read(text, log), let reader = MembersReader(root, text, log) else {
    if log.issues.isEmpty { return .job(try parseJobFile(text, fileName: fileName)) }
    throw JobFileError(fileName: fileName, issues: log.sorted)
  }
  guard let members = reader.read(), log.issues.isEmpty else {
    throw JobFileError(fileName: fileName, issues: log.sorted)
  }
  return .group(members)
}

/// Reads `array`, `matrix` and `at_most`, and makes a file of its own for each member.
private struct MembersReader {
  private let root: Node.Mapping
  private let rootNode: Node
  private let text: String
  private let log: IssueLog
  private let array: Node?
  private let matrix: Node?

  /// Nil for a file that makes one job.
  init?(_ rootNode: Node, _ text: String, _ log: IssueLog) {
    guard case .mapping(let root) = rootNode else { return nil }
    self.root = root
    self.rootNode = rootNode
    self.text = text
    self.log = log
    array = Self.value("array", root)
    matrix = Self.value("matrix", root)
    guard array != nil || matrix != nil || Self.value("at_most", root) != nil else { return nil }
  }

  private static func value(_ key: String, _ mapping: Node.Mapping) -> Node? {
    mapping.first { pair in
      if case .scalar(let scalar) = pair.key { scalar.string == key } else { false }
    }?.value
  }

  /// What one member has in place of the words in the file.
  private struct Choice {
    var index: Int
    var values: [(name: String, value: String)]
    /// What stands in its own file in place of `array` or `matrix`.
    var line: String

    func value(of word: String) -> String? {
      if word == "array.index" { return values.isEmpty ? "\(index)" : nil }
      guard word.hasPrefix("matrix.") else { return nil }
      return values.first { $0.name == word.dropFirst("matrix.".count) }?.value
    }
  }

  /// Nil only where something is in the log.
  func read() -> JobFileMembers? {
    let name = MembersName(root, log)
    let chosen: Chosen?
    switch (array, matrix) {
    case (let array?, nil): chosen = choices(ofArray: array)
    case (nil, let matrix?): chosen = choices(ofMatrix: matrix)
    case (let array?, _?):
      log.add("'array' and 'matrix' cannot both be there: make the index one of the matrix's values", at: array.mark)
      return nil
    case (nil, nil):
      log.add("'at_most' means nothing without an array or a matrix", at: Self.value("at_most", root)?.mark)
      return nil
    }
    guard let chosen, !chosen.choices.isEmpty else { return nil }
    let section = Section(rootNode, .top, log)
    let atMost = section?.integer("at_most", in: 1...JobFileMembers.most) ?? chosen.atMost
    var members: [JobFileMembers.Member] = []
    for choice in chosen.choices {
      guard let member = member(choice, name) else { return nil }
      members.append(member)
    }
    return JobFileMembers(name: name.group, atMost: atMost, members: members, dimensions: chosen.dimensions)
  }

  private func member(_ choice: Choice, _ name: MembersName) -> JobFileMembers.Member? {
    let pairs = root.compactMap { pair -> (Node, Node)? in
      if case .scalar(let key) = pair.key, ["array", "matrix", "at_most"].contains(key.string) { return nil }
      return (pair.key, substituted(pair.value, choice))
    }
    let spec = readJobSpec(.mapping(Node.Mapping(pairs, root.tag, root.style, root.mark)), log)
    guard var spec, log.issues.isEmpty else { return nil }
    if !name.differs { spec.name = name.member(choice.index, choice.values) }
    if choice.values.isEmpty { spec.environment["BATON_ARRAY_INDEX"] = "\(choice.index)" }
    for (name, value) in choice.values { spec.environment["BATON_MATRIX_\(name.uppercased())"] = value }
    guard let own = TopLevelKey.replaced([array == nil ? "matrix" : "array"], by: choice.line, in: text) else {
      log.add(
        "array, matrix: the file's keys have to stand on lines of their own, with nothing before them", at: root.mark)
      return nil
    }
    return JobFileMembers.Member(
      index: choice.index, values: Dictionary(choice.values.map { ($0.name, $0.value) }) { first, _ in first },
      spec: spec, text: own)
  }

  // MARK: - What members there are

  private struct Chosen {
    var choices: [Choice]
    var atMost: Int?
    var dimensions: [String]
  }

  private func choices(ofArray node: Node) -> Chosen? {
    guard case .scalar(let scalar) = node else {
      log.add("array: expected indices as in 0-9, 1,4,7 or 0-99%4, found \(node.kind)", at: node.mark)
      return nil
    }
    do {
      let range = try ArrayRange(parsing: scalar.string)
      let choices = range.indices.map { Choice(index: $0, values: [], line: "array: \($0)") }
      return Chosen(choices: choices, atMost: range.atMost, dimensions: ["array \(choices.count)"])
    } catch {
      log.add("array: \(error.message)", at: node.mark)
      return nil
    }
  }

  private func choices(ofMatrix node: Node) -> Chosen? {
    guard case .mapping(let mapping) = node, !mapping.isEmpty else {
      log.add("matrix: expected names with lists of values, as in lr: [0.1, 0.01], found \(node.kind)", at: node.mark)
      return nil
    }
    var axes: [(name: String, values: [String])] = []
    for (key, value) in mapping {
      guard let name = axisName(key, known: axes.map(\.name)), let values = axisValues(value, name) else { continue }
      axes.append((name, values))
    }
    guard axes.count == mapping.count else { return nil }
    let count = axes.reduce(1) { $0 * $1.values.count }
    guard count <= JobFileMembers.most else {
      log.add("matrix: makes \(count) jobs; a file makes at most \(JobFileMembers.most)", at: node.mark)
      return nil
    }
    var rows: [[(name: String, value: String)]] = [[]]
    for axis in axes { rows = rows.flatMap { row in axis.values.map { row + [(axis.name, $0)] } } }
    let choices = rows.enumerated().map { index, row in
      let words = row.map { "\($0.name): [\(Self.quoted($0.value))]" }
      return Choice(index: index, values: row, line: "matrix: {\(words.joined(separator: ", "))}")
    }
    return Chosen(choices: choices, dimensions: axes.map { "\($0.name) \($0.values.count)" })
  }

  /// `text` as a YAML scalar that reads back as it.
  private static func quoted(_ text: String) -> String {
    "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''") + "'"
  }

  private func axisName(_ key: Node, known: [String]) -> String? {
    guard case .scalar(let scalar) = key, isVariableName(scalar.string), scalar.string.utf8.count <= 64 else {
      log.add("matrix: expected a name of letters, digits and _, found \(key.kind)", at: key.mark)
      return nil
    }
    if let other = known.first(where: { $0.uppercased() == scalar.string.uppercased() }) {
      log.add(
        "matrix: '\(other)' and '\(scalar.string)' would both be BATON_MATRIX_\(other.uppercased())", at: key.mark)
      return nil
    }
    return scalar.string
  }

  private func axisValues(_ node: Node, _ name: String) -> [String]? {
    guard case .sequence(let sequence) = node, !sequence.isEmpty else {
      log.add("matrix.\(name): expected a list of values, found \(node.kind)", at: node.mark)
      return nil
    }
    guard sequence.count <= JobFileMembers.most, let section = Section(rootNode, .top, log) else {
      log.add("matrix.\(name): expected at most \(JobFileMembers.most) values, found \(sequence.count)", at: node.mark)
      return nil
    }
    let values = sequence.compactMap { section.word(of: $0, "matrix.\(name)") }
    guard values.count == sequence.count else { return nil }
    guard Set(values).count == values.count else {
      log.add("matrix.\(name): has a value twice", at: node.mark)
      return nil
    }
    return values
  }

  // MARK: - Words in values

  private func substituted(_ node: Node, _ choice: Choice) -> Node {
    switch node {
    case .scalar(let scalar):
      return .scalar(Node.Scalar(substituted(scalar, choice), scalar.tag, scalar.style, scalar.mark))
    case .sequence(let sequence):
      return .sequence(
        Node.Sequence(sequence.map { substituted($0, choice) }, sequence.tag, sequence.style, sequence.mark))
    case .mapping(let mapping):
      return .mapping(
        Node.Mapping(
          mapping.map { ($0.key, substituted($0.value, choice)) }, mapping.tag, mapping.style, mapping.mark))
    case .alias: return node
    }
  }

  private func substituted(_ scalar: Node.Scalar, _ choice: Choice) -> String {
    var result = ""
    var rest = scalar.string[...]
    while let start = rest.firstRange(of: "${{") {
      result += rest[..<start.lowerBound]
      let after = rest[start.upperBound...]
      // In a command `$$` is a dollar, and no word begins with that.
      if (result.reversed().prefix { $0 == "$" }.count).isMultiple(of: 2) == false {
        result += rest[start]
        rest = after
        continue
      }
      guard let end = after.firstRange(of: "}}") else {
        log.add("'${{' without '}}'", at: scalar.mark)
        return scalar.string
      }
      let word = after[..<end.lowerBound].trimmingSpaces
      guard let value = choice.value(of: word) else {
        let known =
          choice.values.isEmpty ? "array.index" : choice.values.map { "matrix.\($0.name)" }.joined(separator: ", ")
        log.add("'${{ \(word) }}' stands for nothing here (there are: \(known))", at: scalar.mark)
        return scalar.string
      }
      result += value
      rest = after[end.upperBound...]
    }
    return result + rest
  }
}

/// What a group and its members are called.
private struct MembersName {
  let group: String
  /// Whether the file's name has words that make it differ from member to member.
  let differs: Bool

  /// Where there is none, or it is no text, whoever reads the job says so.
  init(_ root: Node.Mapping, _ log: IssueLog) {
    let name = Section(.mapping(root), .top, log)?.word("name") ?? ""
    let placeholder = name.firstRange(of: "${{")
    var fixed = placeholder.map { name[..<$0.lowerBound] } ?? name[...]
    differs = placeholder != nil
    while let last = fixed.last, "-_.,[( ".contains(last) { fixed.removeLast() }
    group = fixed.isEmpty ? "group" : String(fixed)
  }

  /// `mnist[3]`, or `mnist[lr=0.1,batch=32]` where that is short enough for a name.
  func member(_ index: Int, _ values: [(name: String, value: String)]) -> String {
    let words = values.map { "\($0.name)=\($0.value)" }.joined(separator: ",")
    let long = "\(group)[\(words)]"
    if !values.isEmpty, long.unicodeScalars.count <= 128 { return long }
    return String(group.unicodeScalars.prefix(120).map(Character.init)) + "[\(index)]"
  }
}

extension Substring {
  fileprivate var trimmingSpaces: String {
    var rest = drop { $0 == " " }
    while rest.last == " " { rest.removeLast() }
    return String(rest)
  }
}

/// Lines of a file that are one key of its top level.
enum TopLevelKey {
  /// `text` with the first of `keys` that it has, and all that belongs to it, replaced by `line`; nil where there is none
  /// at the beginning of a line.
  static func replaced(_ keys: [String], by line: String, in text: String) -> String? {
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    let start = lines.firstIndex { line in keys.contains { line.hasPrefix($0 + ":") } }
    guard let start else { return nil }
    var end = start + 1
    while end < lines.count, lines[end].isEmpty || [" ", "\t", "#", "\r"].contains(lines[end].first) { end += 1 }
    lines.replaceSubrange(start..<end, with: [line])
    return lines.joined(separator: "\n")
  }
}
