internal import Yams

/// Collects what is wrong while a file is read on.
///
/// A class, so that every section of one file writes into the same list; never leaves the call that made it.
final class IssueLog {
  /// More would not be read by anybody.
  private static let most = 50

  private(set) var issues: [JobFileError.Issue] = []

  /// Notes `message` at the place of `mark`, or at the file's first character where a node has none.
  func add(_ message: String, at mark: Mark?) {
    add(message, line: mark?.line ?? 1, column: mark?.column ?? 1)
  }

  /// Notes `message` at a place.
  func add(_ message: String, line: Int, column: Int) {
    let issue = JobFileError.Issue(line: line, column: column, message: message)
    // A file that makes many jobs is read many times.
    guard issues.count < Self.most, !issues.contains(issue) else { return }
    issues.append(issue)
  }

  /// What was noted, in the order of the file.
  var sorted: [JobFileError.Issue] {
    issues.enumerated()
      .sorted { ($0.element.line, $0.element.column, $0.offset) < ($1.element.line, $1.element.column, $1.offset) }
      .map(\.element)
  }
}
