/// Why something over SSH did not happen: a code to branch on, the server, what libssh2 or the system said, and in
/// `description` the next step for a person.
///
/// Holds no key, no passphrase and no byte of standard input.
public struct SSHError: Error, Sendable, Hashable, CustomStringConvertible {
  /// A step that has a time limit of its own.
  public enum Step: String, Sendable, Hashable {
    case authentication
    case channelOpen = "opening a channel"
    case execRequest = "starting a command"
    case exec = "running a command"
    case keepalive
  }

  /// What went wrong.
  ///
  /// Codes are branched on; new ones may come.
  public enum Code: Sendable, Hashable {
    /// The host name has no address.
    case resolveFailed
    /// The host answered that nothing listens on the port.
    case connectRefused
    /// The system could not connect: no route, no permission, no file descriptor.
    case connectFailed
    /// Nothing answered within `SSHSettings.connectTimeout`.
    case connectTimeout
    /// The server took the connection, then did not complete the handshake in time.
    case handshakeTimeout
    /// Key exchange failed, or what answered does not speak SSH 2.
    case handshakeFailed
    /// The server shows another key than the pinned one. Both are fingerprints as OpenSSH prints them.
    case hostKeyChanged(expected: String, presented: String)
    /// The server has no host key of a type that this build can verify.
    case hostKeyUnsupported(offered: [String])
    /// The server refused the user's key.
    case authenticationFailed
    /// The user's key is of a type that current servers refuse from this build.
    case keyUnsupported(type: String)
    /// The user's key cannot be read: no such file, not a private key, or a wrong passphrase.
    case keyUnreadable
    /// The server refused a channel or the command request on it. The command did not start.
    case channelFailed
    /// A step took longer than its limit.
    case timeout(Step)
    /// The connection ended under the operation, which may or may not have had its effect.
    case disconnected
    /// This side closed the connection or the process before.
    case closed
    /// The program no longer takes input.
    case inputClosed
    /// The command wrote more than the caller allowed; it was cut off.
    case outputLimitExceeded(limit: Int)
    /// The file that arrived has another checksum than the caller named. Nothing was put in place.
    case checksumMismatch(expected: String, actual: String)
    /// The remote side could not store the file. Nothing was put in place.
    case uploadFailed
    /// An argument cannot be sent: a NUL byte, an empty command.
    case invalidArgument
  }

  /// What to branch on.
  public let code: Code
  /// The server concerned.
  public let endpoint: SSHEndpoint
  /// What libssh2, the system or the remote program said; may be empty.
  public let detail: String

  /// An error about `endpoint`.
  public init(_ code: Code, endpoint: SSHEndpoint, detail: String = "") {
    self.code = code
    self.endpoint = endpoint
    self.detail = detail
  }

  /// One line: what happened, where, what was said, and what to do next.
  public var description: String {
    let said = detail.isEmpty ? "" : " (\(detail))"
    return "\(endpoint): \(summary)\(said). \(hint)"
  }

  private var summary: String {
    switch code {
    case .resolveFailed: "the host name does not resolve"
    case .connectRefused: "connection refused"
    case .connectFailed: "cannot connect"
    case .connectTimeout: "no answer to the connection in time"
    case .handshakeTimeout: "the server accepted the connection but did not finish the SSH handshake in time"
    case .handshakeFailed: "the SSH handshake failed"
    case .hostKeyChanged(let expected, let presented):
      "THE HOST KEY CHANGED: expected \(expected), the server presented \(presented)"
    case .hostKeyUnsupported(let offered):
      "the server has no host key of a usable type, it offers only \(offered.joined(separator: ", "))"
    case .authenticationFailed: "the server refused the user key"
    case .keyUnsupported(let type): "user keys of type \(type) are not usable"
    case .keyUnreadable: "the user key cannot be read"
    case .channelFailed: "the server refused to start a command"
    case .timeout(let step): "time-out: \(step.rawValue)"
    case .disconnected: "the connection was lost"
    case .closed: "the connection or process is already closed"
    case .inputClosed: "the remote program no longer reads its input"
    case .outputLimitExceeded(let limit): "the command wrote more than \(limit) bytes"
    case .checksumMismatch(let expected, let actual):
      "the uploaded file has SHA-256 \(actual), expected \(expected)"
    case .uploadFailed: "the upload could not be stored"
    case .invalidArgument: "this command cannot be sent"
    }
  }

  private var hint: String {
    switch code {
    case .resolveFailed: "Check the host name, or register the node by address."
    case .connectRefused: "Check that sshd runs on the node and listens on port \(endpoint.port)."
    case .connectFailed, .connectTimeout:
      "Check that the node is powered on and that no firewall drops port \(endpoint.port)."
    case .handshakeTimeout, .handshakeFailed:
      "Check the node's load and its sshd log; something other than sshd may listen on port \(endpoint.port)."
    case .hostKeyChanged:
      "If the node was reinstalled, register its new key; if not, someone may be intercepting the connection."
    case .hostKeyUnsupported: "On the node run `ssh-keygen -A` to create an ed25519 host key, and restart sshd."
    case .authenticationFailed:
      "Check that the public key is in ~\(endpoint.user)/.ssh/authorized_keys on the node, and the user name."
    case .keyUnsupported: "Create a new one with `ssh-keygen -t ed25519` and authorise it on the node."
    case .keyUnreadable: "Check the path and the passphrase; `ssh-keygen -t ed25519` creates a usable key."
    case .channelFailed: "The node may be out of sessions (MaxSessions in sshd_config) or of processes."
    case .timeout, .disconnected: "Check the node and the network to it, then try again."
    case .closed: "Open a new one."
    case .inputClosed: "Read its standard error and exit status."
    case .outputLimitExceeded: "Raise the limit, or stream the output."
    case .checksumMismatch: "Upload again; if it repeats, the local file changes or the node's disk is bad."
    case .uploadFailed: "Check free space and permissions on the node."
    case .invalidArgument: "Give a command whose arguments contain no NUL byte."
    }
  }
}
