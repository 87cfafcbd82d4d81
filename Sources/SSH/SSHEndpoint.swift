/// Where a server is and as whom to log in; the key under which a pool keeps its sessions.
public struct SSHEndpoint: Sendable, Hashable, CustomStringConvertible {
  /// A host name, an IPv4 address or an IPv6 address without brackets.
  public let host: String
  /// The TCP port.
  public let port: UInt16
  /// The login name on the server.
  public let user: String

  /// Names a server; nothing is resolved or connected.
  public init(host: String, port: UInt16 = 22, user: String) {
    self.host = host
    self.port = port
    self.user = user
  }

  /// `user@host:port`, with brackets around an IPv6 address.
  public var description: String {
    host.contains(":") ? "\(user)@[\(host)]:\(port)" : "\(user)@\(host):\(port)"
  }
}
