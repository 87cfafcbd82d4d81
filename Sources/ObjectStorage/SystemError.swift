import Glibc

/// A call to the operating system that failed.
package struct SystemError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What was tried, as in `cannot write`.
  package var what: String
  /// On what.
  package var path: String
  /// Why.
  package var code: Int32

  /// `what` on `path` failed with `code`.
  package init(_ what: String, _ path: String, errno code: Int32) {
    self.what = what
    self.path = path
    self.code = code
  }

  /// The disk, or the quota on it, is full.
  package var isOutOfSpace: Bool { code == ENOSPC || code == EDQUOT }

  /// `cannot write /x: No space left on device`.
  package var description: String { "\(what) \(path): \(String(cString: strerror(code)))" }
}
