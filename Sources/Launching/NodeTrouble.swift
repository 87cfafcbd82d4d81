import SSH

/// Whose trouble it is when a node did not do what it was asked.
public enum NodeTrouble: Hashable, Sendable {
  /// The node cannot be reached: it is off, the way to it is cut, or it is another machine by now.
  case outOfReach(String)
  /// The node was reached, and the agent on it could not do its work: its disk is full, a process limit, ...
  case agentFailed(String)
  /// The node has nothing to do with it: the database, this machine's files.
  case elsewhere(String)

  /// What `error`, thrown while a node was asked for something, says of the node.
  public init(_ error: any Error) {
    switch error {
    case let error as AgentError: self = .agentFailed(error.code == .failed ? error.detail : "\(error)")
    case let error as SSHError:
      switch error.code {
      case .channelFailed, .timeout(.exec), .inputClosed, .outputLimitExceeded, .checksumMismatch, .uploadFailed:
        self = .agentFailed("\(error)")
      case .invalidArgument, .keyUnreadable, .keyUnsupported: self = .elsewhere("\(error)")
      default: self = .outOfReach("\(error)")
      }
    default: self = .elsewhere("\(error)")
    }
  }

  /// One line about the node called `name`, that has had this trouble for as long as `patience` says.
  public func text(node name: String, patience: String) -> String {
    switch self {
    case .outOfReach(let why): "node \(name) could not be reached for \(patience): \(why)"
    case .agentFailed(let why): "agent failed on node \(name), again and again for \(patience): \(why)"
    case .elsewhere(let why): "node \(name) could not be asked for \(patience): \(why)"
    }
  }
}

extension NodeTrouble: CustomStringConvertible {
  /// What is the trouble, without the node's name.
  public var description: String {
    switch self {
    case .outOfReach(let why): "it cannot be reached: \(why)"
    case .agentFailed(let why), .elsewhere(let why): why
    }
  }
}
