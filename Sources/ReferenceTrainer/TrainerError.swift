/// Why the trainer ended without finishing, with what to do about it.
struct TrainerError: Error, Equatable, CustomStringConvertible {
  /// The kind of failure; the raw value is the exit status (sysexits where they fit, Baton's contract else).
  enum Code: Int32, Sendable {
    /// The loss, or a weight, is not a finite number any more.
    case diverged = 1
    /// A flag or a variable of the environment makes no sense.
    case usage = 64
    /// A data file or a checkpoint is not what it should be.
    case badInput = 65
    /// A data folder or a checkpoint is not there.
    case noInput = 66
    /// A checkpoint or a metric could not be written.
    case writeFailed = 74
    /// A peer did not come, fell silent or died: the same run may work elsewhere.
    case peerLost = 75
    /// Rank 0 did not let this rank in, or a rank was started differently from rank 0.
    case refused = 76
    /// The checkpoint is whole but belongs to another configuration.
    case mismatch = 78
    /// Asked to leave: all that was computed is saved.
    case left = 85
    /// Asked to leave, with nowhere to save to.
    case leftUnsaved = 143
  }

  let code: Code
  /// What happened, in one sentence.
  let message: String
  /// What a person can do next; may be empty.
  let advice: String

  init(_ code: Code, _ message: String, advice: String = "") {
    self.code = code
    self.message = message
    self.advice = advice
  }

  var description: String {
    advice.isEmpty ? message : "\(message)\n  \(advice)"
  }

  /// A failed call of the system, with its reason in words.
  static func system(_ code: Code, _ what: String, errno number: Int32, advice: String = "") -> TrainerError {
    TrainerError(code, "\(what): \(systemMessage(number))", advice: advice)
  }
}
