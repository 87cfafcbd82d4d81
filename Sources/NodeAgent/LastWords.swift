import Domain
import Glibc
import ObjectStorage

/// What a rank that failed said last, in one line for people.
enum LastWords {
  /// So much of a log's end is looked at.
  private static let tail = 8 << 10
  /// So much of a line is told.
  private static let longest = 240

  /// From the log at `path`; nil where it says nothing, or cannot be read.
  static func read(_ path: String) -> String? { end(of: path).flatMap(find) }

  /// What the log at `path` ends with, in Baton's words, and before that what the program said whose end that is.
  static func readBeforeLast(_ path: String) -> String? {
    guard let text = end(of: path) else { return nil }
    var lines = text.split(whereSeparator: \.isNewline).filter { !$0.allSatisfy(\.isWhitespace) }
    guard let last = lines.popLast() else { return nil }
    let mark = "baton-agent prepare: "
    let verdict = String(last.hasPrefix(mark) ? last.dropFirst(mark.count) : last)
    return find(in: lines.joined(separator: "\n")).map { "\(verdict): \($0)" } ?? verdict
  }

  private static func end(of path: String) -> String? {
    guard let size = Disk.status(path)?.size, let file = try? Disk.open(path, O_RDONLY),
      let bytes = try? Disk.read(file, at: max(0, size - Int64(tail)), limit: tail, path: path)
    else { return nil }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The error of the last traceback of Python's; where there is none, the last line that says anything.
  ///
  /// Behind the error's first line there may be more of it, and what libraries have to say when a program ends.
  static func find(in text: String) -> String? {
    let lines = text.split(whereSeparator: \.isNewline).map { shown(withoutRank($0)) }
    let traceback = lines.lastIndex { $0.hasPrefix("Traceback (most recent call last)") }
    let error = traceback.flatMap { start in
      lines[(start + 1)...].first { $0.first.map { !$0.isWhitespace } ?? false }
    }
    let last = error ?? lines.last { !$0.allSatisfy(\.isWhitespace) }
    return last.map { line in
      let words = line.drop { $0.isWhitespace }
      return words.count > longest ? "\(words.prefix(longest))..." : String(words)
    }
  }

  /// Without the `[rank3]: ` that PyTorch puts before its tracebacks.
  private static func withoutRank(_ line: Substring) -> Substring {
    guard line.hasPrefix("[rank"), let end = line.firstIndex(of: "]"),
      line[line.index(line.startIndex, offsetBy: 5)..<end].allSatisfy(\.isNumber)
    else { return line }
    let rest = line[line.index(after: end)...]
    return rest.hasPrefix(": ") ? rest.dropFirst(2) : rest.hasPrefix(":") ? rest.dropFirst() : rest
  }

  /// Without what a terminal would act on.
  private static func shown(_ line: Substring) -> String {
    String(String.UnicodeScalarView(line.unicodeScalars.map { $0.properties.generalCategory == .control ? " " : $0 }))
  }
}
