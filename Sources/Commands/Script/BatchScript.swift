import ArgumentParser

/// A shell script with the headers of another scheduler.
struct BatchScript: Hashable {
  /// Whose headers it has.
  enum Dialect: String, Hashable, CaseIterable {
    case slurm
    case oar

    /// What its lines begin with.
    var mark: String {
      switch self {
      case .slurm: "#SBATCH"
      case .oar: "#OAR"
      }
    }
  }

  /// An option of a header.
  struct Option: Hashable {
    /// As it is written: `--nodes`, `-N`.
    var name: String
    /// What stands behind it; nil where nothing does.
    var value: String?
    /// Its line in the script, from 1.
    var line: Int
  }

  /// The whole of it.
  let text: String
  /// Its lines, without their ends.
  let lines: [String]

  /// The script in `text`.
  init(_ text: String) {
    self.text = text
    lines = text.split(separator: "\n", omittingEmptySubsequences: false)
      .map { $0.hasSuffix("\r") ? String($0.dropLast()) : String($0) }
  }

  /// Whose headers are in it; a script may have several kinds.
  var dialects: [Dialect] {
    Dialect.allCases.filter { dialect in
      header.contains { lines[$0] == dialect.mark || lines[$0].hasPrefix(dialect.mark + " ") }
    }
  }

  /// Whether it is a script and no job file.
  var isScript: Bool { text.hasPrefix("#!") || !dialects.isEmpty }

  /// The lines before the first command, by index: headers behind that mean nothing.
  private var header: Range<Int> {
    let end = lines.firstIndex { line in
      let content = line.drop { $0 == " " || $0 == "\t" }
      return !content.isEmpty && !content.hasPrefix("#")
    }
    return 0..<(end ?? lines.count)
  }

  /// Lines that look like headers and stand behind the first command.
  func late(_ dialect: Dialect) -> [Int] {
    lines.indices.filter { !header.contains($0) && lines[$0].hasPrefix(dialect.mark + " ") }.map { $0 + 1 }
  }

  /// The options of its headers, in their order.
  ///
  /// - Parameter flags: names that have no value.
  func options(_ dialect: Dialect, flags: Set<String>) -> [Option] {
    var found: [Option] = []
    for index in header where lines[index].hasPrefix(dialect.mark + " ") {
      var words = Self.words(lines[index].dropFirst(dialect.mark.count))[...]
      while let word = words.popFirst() {
        var option = Option(name: word, value: nil, line: index + 1)
        if word.hasPrefix("--") {
          if let sign = word.firstIndex(of: "=") {
            option.name = String(word[..<sign])
            option.value = String(word[word.index(after: sign)...])
          }
        } else if word.hasPrefix("-"), word.count > 2 {
          option.name = String(word.prefix(2))
          option.value = String(word.dropFirst(2).drop { $0 == "=" })
        }
        if option.value == nil, !flags.contains(option.name), let next = words.first, !next.hasPrefix("-") {
          option.value = words.popFirst()
        }
        found.append(option)
      }
    }
    return found
  }

  /// Words as these schedulers split a header: by blanks, quotes keep them together, ` #` begins a comment.
  private static func words(_ text: Substring) -> [String] {
    var words: [String] = []
    var word: String?
    var quote: Character?
    for character in text {
      if let open = quote {
        if character == open { quote = nil } else { word = (word ?? "") + String(character) }
      } else if character == "\"" || character == "'" {
        quote = character
        word = word ?? ""
      } else if character == " " || character == "\t" {
        if let word { words.append(word) }
        word = nil
      } else if character == "#", word == nil {
        break
      } else {
        word = (word ?? "") + String(character)
      }
    }
    if let word { words.append(word) }
    return words
  }
}

extension BatchScript.Dialect: ExpressibleByArgument {}
