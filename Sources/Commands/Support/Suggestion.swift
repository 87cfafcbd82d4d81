import ArgumentParser

/// Finds the command that was meant by one that does not exist.
enum Suggestion {
  /// What to say of the first of `words` that names no command; nil where all that should be commands are.
  static func message(for words: [String]) -> String? {
    var command: any ParsableCommand.Type = Baton.self
    var path: [String] = []
    for word in words {
      let subcommands = subcommands(of: command)
      guard !subcommands.isEmpty, !word.hasPrefix("-"), word != "help" else { return nil }
      if let next = subcommands.first(where: { names(of: $0).contains(word) }) {
        command = next
        path.append(word)
        continue
      }
      let typed = (path + [word]).joined(separator: " ")
      let prefix = (["baton"] + path).joined(separator: " ")
      let close = subcommands.flatMap(names).map { (name: $0, distance: distance(word, $0)) }
        .min { $0.distance < $1.distance }
      guard let close, close.distance <= max(1, word.count / 3) else {
        // Where a command does something by itself, the word is what it does that to.
        if command.configuration.defaultSubcommand != nil { return nil }
        return "there is no command '\(typed)': `\(prefix) --help` lists them"
      }
      return "there is no command '\(typed)': did you mean `\(prefix) \(close.name)`?"
    }
    return nil
  }

  private static func subcommands(of command: any ParsableCommand.Type) -> [any ParsableCommand.Type] {
    command.configuration.subcommands
  }

  private static func names(of command: any ParsableCommand.Type) -> [String] {
    [command.configuration.commandName ?? ""] + command.configuration.aliases
  }

  /// How many letters have to be put in, taken out, exchanged or swapped with their neighbour (optimal string
  /// alignment, a restricted Damerau-Levenshtein distance).
  private static func distance(_ left: String, _ right: String) -> Int {
    let (a, b) = (Array(left), Array(right))
    var rows = [Array(0...b.count)]
    for i in a.indices {
      var row = [i + 1]
      for j in b.indices {
        var best = min(rows[i][j] + (a[i] == b[j] ? 0 : 1), rows[i][j + 1] + 1, row[j] + 1)
        if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, rows[i - 1][j - 1] + 1) }
        row.append(best)
      }
      rows.append(row)
    }
    return rows[a.count][b.count]
  }
}
