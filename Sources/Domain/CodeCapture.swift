/// The code that a job runs, as the client packed it: one tar of the work tree as it was, named by its content.
public struct CodeCapture: Hashable, Sendable, Codable {
  /// SHA-256 of the tar: the one hash over all of it.
  ///
  /// The same files make the same tar, whoever packs them, wherever and whenever.
  public var sha256: String
  /// Length of the tar.
  public var bytes: ByteCount
  /// Files in it.
  public var files: Int
  /// The job file's folder in it, where ranks start; empty for its root.
  public var folder: String
  /// Files of it that git does not know.
  public var untracked: [String]
  /// What is not in it, and why.
  public var leftOut: [LeftOut]

  /// A file that was not captured.
  public struct LeftOut: Hashable, Sendable, Codable {
    /// Its path in the work tree.
    public var path: String
    /// Its size; nil where it is none that a file has.
    public var bytes: ByteCount?
    /// Why: `larger than 4.0 MiB`.
    public var reason: String

    /// `path` was left out for `reason`.
    public init(path: String, bytes: ByteCount?, reason: String) {
      self.path = path
      self.bytes = bytes
      self.reason = reason
    }
  }

  /// A tar of code.
  public init(
    sha256: String, bytes: ByteCount, files: Int, folder: String, untracked: [String] = [], leftOut: [LeftOut] = []
  ) {
    self.sha256 = sha256
    self.bytes = bytes
    self.files = files
    self.folder = folder
    self.untracked = untracked
    self.leftOut = leftOut
  }
}

/// How much code is captured: what is larger is named instead.
public struct CodeLimits: Hashable, Sendable {
  /// Of one file.
  public var fileMost = ByteCount.mebibytes(4)
  /// Of all files together.
  public var totalMost = ByteCount.mebibytes(32)
  /// Files.
  public var filesMost = 20_000

  /// The usual limits.
  public init() {}
}

/// A file that might be captured.
public struct CodeCandidate: Hashable, Sendable {
  /// Its path from the root of the work tree.
  public var path: String
  /// Its length.
  public var bytes: ByteCount
  /// Whether git knows it.
  public var isTracked: Bool

  /// A file.
  public init(path: String, bytes: ByteCount, isTracked: Bool) {
    self.path = path
    self.bytes = bytes
    self.isTracked = isTracked
  }
}

extension CodeLimits {
  /// Which of `candidates` are captured, sorted by path, and what is left out.
  ///
  /// Where there is not room for all, what lies beside or below the job file's `folder` goes first, of that what git knows,
  /// and then by path. Files that probably hold secrets and that git does not know are left out: who committed one has shown it
  /// already.
  public func choose(
    _ candidates: [CodeCandidate], folder: String
  ) -> (chosen: [CodeCandidate], leftOut: [CodeCapture.LeftOut]) {
    func rank(_ file: CodeCandidate) -> Int {
      let isNear = folder.isEmpty || file.path.hasPrefix(folder + "/")
      return (isNear ? 0 : 2) + (file.isTracked ? 0 : 1)
    }
    var chosen: [CodeCandidate] = []
    var leftOut: [CodeCapture.LeftOut] = []
    var total = ByteCount.zero
    for file in candidates.sorted(by: { (rank($0), $0.path) < (rank($1), $1.path) }) {
      let reason: String? =
        if !file.isTracked, SecretNames.isSecret(file: file.path) {
          "its name says that it holds secrets"
        } else if file.bytes > fileMost {
          "larger than \(fileMost)"
        } else if total + file.bytes > totalMost {
          "all files together may have \(totalMost)"
        } else if chosen.count == filesMost {
          "no more than \(filesMost) files are captured"
        } else {
          nil
        }
      if let reason {
        leftOut.append(.init(path: file.path, bytes: file.bytes, reason: reason))
      } else {
        chosen.append(file)
        total = total + file.bytes
      }
    }
    return (chosen.sorted { $0.path < $1.path }, leftOut.sorted { $0.path < $1.path })
  }
}
