/// Everything that is wrong with a job file, found in one reading.
public struct JobFileError: Error, Hashable, Sendable {
  /// One thing that is wrong, and where.
  public struct Issue: Hashable, Sendable, Codable {
    /// Line in the file, from 1.
    public var line: Int
    /// Column in the line, from 1, in Unicode scalars.
    public var column: Int
    /// What is wrong, and what to write instead.
    public var message: String

    /// `message` about `line` and `column`.
    public init(line: Int, column: Int, message: String) {
      self.line = line
      self.column = column
      self.message = message
    }
  }

  /// The file, as the user called it.
  public var fileName: String
  /// What is wrong, in the order of the file; not empty.
  public var issues: [Issue]

  /// `issues` of the file `fileName`.
  public init(fileName: String, issues: [Issue]) {
    self.fileName = fileName
    self.issues = issues
  }
}

extension JobFileError: CustomStringConvertible {
  /// One line for each issue, as compilers write them: `job.yaml:12:3: unknown key 'node' in resources: ...`.
  public var description: String {
    issues.map { "\(fileName):\($0.line):\($0.column): \($0.message)" }.joined(separator: "\n")
  }
}
