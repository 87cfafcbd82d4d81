import Foundation
import Glibc

/// Standard output and standard error, and what is known of the terminal behind them.
struct Console: Sendable, Hashable {
  /// Whether a person sees standard output as it is written.
  var outIsTerminal: Bool
  /// Whether a person sees standard error as it is written.
  var errorIsTerminal: Bool
  /// Columns of the terminal.
  var width: Int
  /// Whether standard output may be coloured.
  var colours: Bool

  init(outIsTerminal: Bool, errorIsTerminal: Bool, width: Int, colours: Bool) {
    self.outIsTerminal = outIsTerminal
    self.errorIsTerminal = errorIsTerminal
    self.width = width
    self.colours = colours
  }

  /// This process's; asks the terminal for its width.
  static func current(environment: [String: String]) -> Console {
    let outIsTerminal = isatty(STDOUT_FILENO) == 1
    var size = winsize()
    var width = environment["COLUMNS"].flatMap { Int($0) } ?? 80
    for descriptor in [STDOUT_FILENO, STDERR_FILENO]
    where ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 {
      width = Int(size.ws_col)
      break
    }
    let plain = !(environment["NO_COLOR"] ?? "").isEmpty || environment["TERM"] == "dumb"
    return Console(
      outIsTerminal: outIsTerminal, errorIsTerminal: isatty(STDERR_FILENO) == 1, width: max(20, width),
      colours: outIsTerminal && !plain)
  }

  /// Columns that a table may take; nil where nobody's screen limits it.
  var tableWidth: Int? { outIsTerminal ? width : nil }

  /// Writes a line, or several, to standard output.
  func out(_ text: String) { Self.write(text + "\n", to: STDOUT_FILENO) }

  /// Writes bytes to standard output as they are.
  func raw(_ bytes: [UInt8]) { Self.write(bytes, to: STDOUT_FILENO) }

  /// Writes a line to standard error.
  func note(_ text: String) { Self.write(text + "\n", to: STDERR_FILENO) }

  /// Writes to standard error without ending the line.
  func noteInPlace(_ text: String) { Self.write(text, to: STDERR_FILENO) }

  /// Whether a person can be asked: what they type is read, and what they are asked is seen.
  var canAsk: Bool { errorIsTerminal && isatty(STDIN_FILENO) == 1 }

  /// Asks a person; anything but a yes is a no.
  func ask(_ question: String) -> Bool {
    noteInPlace("\(question) [y/N] ")
    let answer = readLine()?.trimmingCharacters(in: .whitespaces).lowercased()
    if answer == nil { note("") }
    return answer == "y" || answer == "yes"
  }

  /// `text` in a colour, where there are colours.
  func paint(_ text: String, _ ink: Ink?) -> String {
    guard colours, let ink, !text.isEmpty else { return text }
    return "\u{1B}[\(ink.rawValue)m\(text)\u{1B}[0m"
  }

  private static func write(_ text: String, to descriptor: Int32) { write(Array(text.utf8), to: descriptor) }

  /// A reader that went away, as `head` does, ends this program without a word.
  private static func write(_ bytes: [UInt8], to descriptor: Int32) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count >= 0 {
        rest = rest.dropFirst(count)
      } else if errno == EPIPE {
        exit(0)
      } else if errno != EINTR && errno != EAGAIN {
        return
      }
    }
  }
}

/// A colour, by its number among the terminal's attributes.
enum Ink: Int, Sendable, Hashable {
  case bold = 1
  case faint = 2
  case red = 31
  case green = 32
  case yellow = 33
  case cyan = 36
}

/// Text from elsewhere, fit for a terminal.
enum Printable {
  /// `text` with every control character made visible: a job's name must not move a person's cursor.
  static func line(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: isControl) else { return text }
    return String(String.UnicodeScalarView(text.unicodeScalars.map { isControl($0) ? "\u{FFFD}" : $0 }))
  }

  private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
    scalar.properties.generalCategory == .control || scalar.value == 0x202E || scalar.value == 0x2066
  }
}
