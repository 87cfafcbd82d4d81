/// Why the lab could not do what was asked.
public struct LabError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What went wrong, for the program to decide on.
  public enum Code: String, Sendable, Hashable {
    /// A setting that cannot work.
    case invalidSettings
    /// A program that the lab needs is not installed or not executable.
    case missingProgram
    /// A program ended with a failure.
    case programFailed
    /// Something that was waited for did not happen in its time.
    case timedOut
    /// The kernel refused a call.
    case systemCall
    /// The folder holds no lab, or the record in it cannot be read.
    case notALab
    /// The lab belongs to another user.
    case notOurs
    /// The lab has no such node.
    case unknownNode
    /// This cannot be done without root, or not in the state things are in.
    case unsupported
  }

  /// What went wrong.
  public var code: Code
  /// What was being done and what came of it.
  public var message: String
  /// What to do next; nil when there is nothing to advise.
  public var advice: String?

  init(_ code: Code, _ message: String, advice: String? = nil) {
    self.code = code
    self.message = message
    self.advice = advice
  }

  /// The message, then the advice.
  public var description: String {
    advice.map { "\(message): \($0)" } ?? message
  }
}
