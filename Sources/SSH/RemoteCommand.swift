/// How an argument vector becomes the one string that SSH's exec request carries.
public enum RemoteCommand {
  /// Quotes one word for a POSIX shell: the shell sees exactly these bytes, whatever they are.
  public static func quote(_ word: String) -> String {
    var quoted = "'".unicodeScalars
    // Not by characters: a quote with a combining mark behind it is one of them, and would stay as it is.
    for scalar in word.unicodeScalars {
      if scalar == "'" { quoted.append(contentsOf: #"'\'"#.unicodeScalars) }
      quoted.append(scalar)
    }
    return String(quoted) + "'"
  }

  /// The command line for `argv`.
  ///
  /// Every word is quoted, the first too: a quoted word is never a keyword, an alias or an assignment. The login
  /// shell of the remote user has to be a POSIX shell (not csh, not fish).
  ///
  /// Throws `.invalidArgument` for an empty vector and for a NUL byte, which no argument can hold.
  public static func line(_ argv: [String], for endpoint: SSHEndpoint) throws(SSHError) -> String {
    guard let first = argv.first, !first.isEmpty else {
      throw SSHError(.invalidArgument, endpoint: endpoint, detail: "the command is empty")
    }
    guard !argv.contains(where: { $0.utf8.contains(0) }) else {
      throw SSHError(.invalidArgument, endpoint: endpoint, detail: "an argument contains a NUL byte")
    }
    return argv.map(quote).joined(separator: " ")
  }
}
