internal import Yams

/// The limits of what is given to the YAML parser, and the way from text to a tree without anchors and tags.
enum YAMLTree {
  /// Longest text that is read at all, in bytes.
  static let longestText = 256 * 1024
  /// Most places that look like a YAML alias, where anything looks like an anchor.
  ///
  /// Each alias can repeat a tree that holds aliases itself, and the parser hashes the keys of a mapping, whole trees
  /// of them. With 16 aliases that is at most 3^5 times the text; with a thousand it would not end.
  private static let mostAliases = 16

  /// The tree of `text`; nil, with the reason in `log`, where there is none.
  static func read(_ text: String, _ log: IssueLog) -> Node? {
    guard text.utf8.count <= longestText else {
      log.add("the file has \(text.utf8.count) bytes; a job file has at most \(longestText)", line: 1, column: 1)
      return nil
    }
    guard count("&", in: text) == 0 || count("*", in: text) <= mostAliases else {
      log.add(noAnchors, line: 1, column: 1)
      return nil
    }
    do {
      let parser = try Parser(yaml: stable(text), resolver: .basic, encoding: .utf8)
      // The parser owns the anchors: a tree that outlives it has forgotten them.
      return try withExtendedLifetime(parser) {
        guard let root = try parser.singleRoot() else {
          log.add("the file is empty: a job needs at least name and run", line: 1, column: 1)
          return nil
        }
        return isPlain(root, log) ? root : nil
      }
    } catch {
      note(error, log)
      return nil
    }
  }

  private static let noAnchors = "YAML anchors and aliases (&name, *name) are not supported: write the value out"

  /// `text` as the parser wants it.
  ///
  /// The parser takes a byte order mark for content. It also keeps a pointer to the bytes, and those of a String under
  /// 16 bytes lie inside the value, which moves; blanks at the end change nothing, and no line number either.
  private static func stable(_ text: String) -> String {
    let content = text.unicodeScalars.first == "\u{FEFF}" ? String(text.unicodeScalars.dropFirst()) : text
    return content.utf8.count < 16 ? content + String(repeating: " ", count: 16) : content
  }

  /// How often `sign` stands before a letter, digit, `_` or `-`, as it does in an anchor or alias, quoted or not.
  private static func count(_ sign: Unicode.Scalar, in text: String) -> Int {
    let scalars = text.unicodeScalars
    return zip(scalars, scalars.dropFirst()).count { first, second in
      first == sign
        && (second == "_" || second == "-" || second.properties.isAlphabetic || ("0"..."9").contains(second))
    }
  }

  /// Whether no node of the tree has an anchor or a tag of its own; the first that has is noted.
  private static func isPlain(_ node: Node, _ log: IssueLog) -> Bool {
    if node.anchor != nil {
      log.add(noAnchors, at: node.mark)
      return false
    }
    switch node {
    case .scalar(let scalar):
      return hasKnownTag(scalar.tag, ["tag:yaml.org,2002:str"], scalar.mark, log)
    case .sequence(let sequence):
      return hasKnownTag(sequence.tag, ["tag:yaml.org,2002:seq"], sequence.mark, log)
        && sequence.allSatisfy { isPlain($0, log) }
    case .mapping(let mapping):
      return hasKnownTag(mapping.tag, ["tag:yaml.org,2002:map"], mapping.mark, log)
        && mapping.allSatisfy { isPlain($0.key, log) && isPlain($0.value, log) }
    case .alias(let alias):
      log.add(noAnchors, at: alias.mark)
      return false
    }
  }

  private static func hasKnownTag(_ tag: Tag, _ known: [String], _ mark: Mark?, _ log: IssueLog) -> Bool {
    let name = tag.rawValue
    if name.isEmpty || name == "!" || known.contains(name) { return true }
    log.add("the YAML tag '\(name)' is not supported: leave it out", at: mark)
    return false
  }

  private static func note(_ error: any Error, _ log: IssueLog) {
    guard let error = error as? YamlError else {
      log.add("the file cannot be read: \(error)", line: 1, column: 1)
      return
    }
    switch error {
    case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
      .composer(let context, let problem, let mark, _):
      let place = context.map { " (\($0.text) that starts in line \($0.mark.line))" } ?? ""
      log.add("not valid YAML: \(problem)\(place)", at: mark)
    case .reader(let problem, let offset, _, let yaml):
      let before = yaml.prefix(offset ?? 0)
      let line = before.count { $0.isNewline } + 1
      let column = before.reversed().prefix { !$0.isNewline }.count + 1
      log.add("not valid YAML: \(problem)", line: line, column: column)
    case .duplicatedKeysInMapping(let duplicates, let context):
      let keys = duplicates.map { "'\($0)'" }.joined(separator: ", ")
      log.add("given more than once: \(keys); the first is here", at: context.mark)
    default:
      log.add("the file cannot be read: \(error)", line: 1, column: 1)
    }
  }
}
