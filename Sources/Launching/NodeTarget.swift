import Crypto
public import Domain
import Foundation
public import SSH

/// A node, as far as reaching it goes.
public struct NodeTarget: Hashable, Sendable {
  /// Which node.
  public let id: NodeID
  /// Its name, for messages.
  public let name: String
  /// Where its sshd listens, and as whom to log in.
  public let endpoint: SSHEndpoint
  /// Its pinned host key.
  public let hostKey: HostKey
  /// The folder on it that is Baton's.
  public let root: String

  /// A node that can be reached.
  public init(id: NodeID, name: String, endpoint: SSHEndpoint, hostKey: HostKey, root: String) {
    self.id = id
    self.name = name
    self.endpoint = endpoint
    self.hostKey = hostKey
    self.root = root
  }
}

/// The agent's executable, to be put on nodes.
///
/// It is held as it was when it was read: a controller goes on sending the version whose protocol it speaks when the
/// file it came from is replaced.
public struct AgentBinary: Sendable {
  /// The whole file.
  public let bytes: [UInt8]
  /// SHA-256 of it, 64 lower-case hexadecimal digits.
  public let sha256: String

  /// The executable at `path`, as it is now.
  ///
  /// Throws what Foundation does where it cannot be read.
  public init(contentsOf path: String) throws {
    bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    sha256 = SHA256.hash(data: bytes).hexadecimal
  }

  /// Where it belongs on a node: a folder named by its content, so that an older one is never taken for it, and
  /// a supervisor that still runs from an older one keeps its file.
  public func remotePath(below root: String) -> String { "\(root)/agent/\(sha256.prefix(16))/baton-agent" }
}

extension AgentBinary: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  /// Its hash and length: whoever prints what holds it does not print millions of bytes.
  public var description: String { "baton-agent \(sha256.prefix(16)), \(bytes.count) bytes" }

  /// The same.
  public var debugDescription: String { description }

  /// Nothing below.
  public var customMirror: Mirror { Mirror(self, children: []) }
}

/// Why an agent did not do what it was asked.
public struct AgentError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What went wrong.
  public enum Code: Hashable, Sendable {
    /// It answered that it will not.
    case refused
    /// It could not be run, or ended with an error.
    case failed
    /// What it said is not of the protocol.
    case garbled
  }

  /// What to branch on.
  public let code: Code
  /// The node's name.
  public let node: String
  /// What the agent said.
  public let detail: String

  /// An error of the agent on `node`.
  public init(_ code: Code, node: String, detail: String) {
    self.code = code
    self.node = node
    self.detail = detail
  }

  /// One line with the node's name.
  public var description: String {
    switch code {
    case .refused: "the agent on \(node) refused: \(detail)"
    case .failed: "the agent on \(node) failed: \(detail)"
    case .garbled: "the agent on \(node) said something that is not of its protocol: \(detail)"
    }
  }
}
