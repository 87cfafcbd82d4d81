/// How a remote program ended.
public enum ExitStatus: Sendable, Hashable, CustomStringConvertible {
  /// It returned this code.
  case exited(Int32)
  /// A signal ended it: the name without `SIG`, as in `KILL`.
  case signalled(String)

  /// Whether it returned 0.
  public var isSuccess: Bool { self == .exited(0) }

  /// `exit status 3` or `signal KILL`.
  public var description: String {
    switch self {
    case .exited(let code): "exit status \(code)"
    case .signalled(let name): "signal \(name)"
    }
  }
}

/// What a finished remote command left behind.
public struct ExecResult: Sendable, Hashable {
  /// How it ended.
  public let status: ExitStatus
  /// All it wrote to standard output.
  public let stdout: [UInt8]
  /// All it wrote to standard error.
  public let stderr: [UInt8]

  /// A result, as a test or a stand-in would make it.
  public init(status: ExitStatus, stdout: [UInt8], stderr: [UInt8]) {
    self.status = status
    self.stdout = stdout
    self.stderr = stderr
  }

  /// Standard output as text; bytes that are not UTF-8 are replaced.
  public var stdoutText: String { String(decoding: stdout, as: UTF8.self) }
  /// Standard error as text; bytes that are not UTF-8 are replaced.
  public var stderrText: String { String(decoding: stderr, as: UTF8.self) }
}
