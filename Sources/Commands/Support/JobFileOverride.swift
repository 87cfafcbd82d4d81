/// Sets keys at the top of a job file, so that what is submitted, and kept with the run, says what was meant.
enum JobFileOverride {
  /// `file` with `key` set to `value` (as YAML); nil where the file is not a block mapping that could be edited.
  ///
  /// In a block mapping a line that begins with a key is that key: whatever belongs to another one is indented.
  static func set(_ key: String, to value: String, in file: String) -> String? {
    var lines = file.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    let content = lines.indices.filter { isContent(lines[$0]) }
    guard let first = content.first else { return nil }
    guard lines[first].first?.isLetter == true else { return nil }
    let new = "\(key): \(value)"
    guard let index = content.first(where: { lines[$0].hasPrefix(key + ":") }) else {
      lines.insert(new, at: first)
      return lines.joined(separator: "\n")
    }
    var end = index + 1
    while end < lines.count, lines[end].first == " " || lines[end].first == "\t" { end += 1 }
    lines.replaceSubrange(index..<end, with: [new])
    return lines.joined(separator: "\n")
  }

  /// `text` as a YAML scalar that reads back as it.
  static func quoted(_ text: String) -> String {
    "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''") + "'"
  }

  /// `text`, of any number of lines, as YAML that reads back as it, without blanks at the end of lines.
  static func block(_ text: String) -> String {
    let lines = text.split(whereSeparator: \.isNewline).map { line in
      String(line.reversed().drop { $0.isWhitespace }.reversed())
    }
    return "|2\n" + lines.filter { !$0.isEmpty }.map { "  " + $0 }.joined(separator: "\n")
  }

  private static func isContent(_ line: String) -> Bool {
    guard let first = line.first else { return false }
    return !first.isWhitespace && first != "#" && !line.hasPrefix("---") && first != "%"
  }
}
