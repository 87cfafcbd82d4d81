/// Why a text is not one command.
enum CommandSyntaxError: Error, Equatable {
  case openQuote(Character)
  case endsInBackslash
  /// Something that only a shell understands.
  case needsAShell(String)
  /// `NAME=value` before the program.
  case assignment(String)
}

extension CommandSyntaxError {
  /// What is wrong with the text at the key `name`, and what to write.
  func description(of name: String) -> String {
    switch self {
    case .openQuote(let quote): "\(name) has a \(quote) without its partner"
    case .endsInBackslash: "\(name) ends in a backslash that escapes nothing"
    case .needsAShell(let what):
      "\(name) has \(what), but the program is started without a shell: "
        + "quote it (single quotes), or, if a shell is wanted, write a list: [bash, -c, \"...\"]"
    case .assignment(let word):
      "\(name) begins with '\(word)', which only a shell takes for a variable: put it under env"
    }
  }
}

/// The words of `text` as a POSIX shell splits them by blanks, quotes and backslashes, and nothing else.
///
/// Nothing is expanded: `$NAME` and `${NAME}` stay as they are, for the node that knows the variables, and a `$` that
/// single quotes or a backslash take the meaning of becomes `$$`, which means a dollar there. `*`, `~` and `#` are
/// characters like any other. What a shell would act on (`|`, `&`, `;`, `<`, `>`, a backtick, `$(`) is refused where no
/// quote takes its meaning.
func commandWords(_ text: String) throws(CommandSyntaxError) -> [String] {
  let words = try argumentWords(text)
  if let first = words.first, let sign = first.firstIndex(of: "="), isVariableName(String(first[..<sign])) {
    throw .assignment(first)
  }
  return words
}

/// The same of arguments, of which the first may be `NAME=value` too.
func argumentWords(_ text: String) throws(CommandSyntaxError) -> [String] {
  var splitter = CommandSplitter(rest: Substring(text))
  return try splitter.words()
}

/// Whether `text` is `[A-Za-z_][A-Za-z0-9_]*`.
func isVariableName(_ text: String) -> Bool {
  guard let first = text.utf8.first, !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) else { return false }
  return text.utf8.allSatisfy(isWordByte)
}

/// Whether `byte` is an ASCII letter, a digit or `_`.
func isWordByte(_ byte: UInt8) -> Bool {
  switch byte {
  case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
    true
  default: false
  }
}

private struct CommandSplitter {
  var rest: Substring
  /// The word being read; nil between words, empty after `''`.
  var word: String?

  mutating func words() throws(CommandSyntaxError) -> [String] {
    var words: [String] = []
    while let character = rest.popFirst() {
      switch character {
      case " ", "\t", "\n", "\r", "\r\n":
        if let word { words.append(word) }
        word = nil
      case "'": try readSingleQuoted()
      case "\"": try readDoubleQuoted()
      case "\\":
        guard let next = rest.popFirst() else { throw .endsInBackslash }
        if !next.isNewline { addLiteral(next) }
      case "|", "&", ";", "<", ">": throw .needsAShell("an unquoted '\(character)'")
      default: try addUnlessSubstitution(character)
      }
    }
    if let word { words.append(word) }
    return words
  }

  private mutating func add(_ character: Character) { word = (word ?? "") + String(character) }

  private mutating func addLiteral(_ character: Character) {
    word = (word ?? "") + (character == "$" ? "$$" : "\(character)")
  }

  private mutating func addUnlessSubstitution(_ character: Character) throws(CommandSyntaxError) {
    if character == "`" { throw .needsAShell("a backtick") }
    if character == "$", rest.first == "(" { throw .needsAShell("'$('") }
    add(character)
  }

  private mutating func readSingleQuoted() throws(CommandSyntaxError) {
    guard let end = rest.firstIndex(of: "'") else { throw .openQuote("'") }
    word = word ?? ""
    for character in rest[..<end] { addLiteral(character) }
    rest = rest[rest.index(after: end)...]
  }

  /// Inside double quotes a backslash escapes only `$`, a backtick, `"`, itself and the end of a line.
  private mutating func readDoubleQuoted() throws(CommandSyntaxError) {
    word = word ?? ""
    while let character = rest.popFirst() {
      switch character {
      case "\"": return
      case "\\":
        guard let next = rest.popFirst() else { throw .openQuote("\"") }
        if next.isNewline { continue }
        if !["$", "`", "\"", "\\"].contains(next) { add("\\") }
        addLiteral(next)
      default: try addUnlessSubstitution(character)
      }
    }
    throw .openQuote("\"")
  }
}
