/// Why a command ends without having done what it was asked.
struct CommandFailure: Error, Hashable, Sendable, CustomStringConvertible {
  /// What the shell gets.
  var status: ExitStatus
  /// What was typed, what is wrong, what to do; empty where all was said already.
  var message: String

  init(_ status: ExitStatus, _ message: String = "") {
    self.status = status
    self.message = message
  }

  var description: String { message }
}
