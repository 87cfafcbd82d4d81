/// What a node has to have before a job's ranks start: packages of Python's, and what commands make.
///
/// It is made once on a node, in a virtual environment, for all jobs that want the same.
public struct SetupSpec: Hashable, Sendable, Codable {
  /// The text of a lock file, as `pip install -r` reads it; nil for no packages.
  public var requirements: String?
  /// Programs and arguments, run one after the other in the environment.
  public var commands: [[String]]

  /// An environment with `requirements`, in which then `commands` were run.
  public init(requirements: String? = nil, commands: [[String]] = []) {
    self.requirements = requirements
    self.commands = commands
  }
}
