/// Who asks OpenStack Swift, and how that is proved.
public enum SwiftAuthentication: Hashable, Sendable, Codable {
  /// Swift's own v1 (TempAuth): `url` ends in `/auth/v1.0`.
  case v1(url: String, user: String, key: String)
  /// Keystone v3 by name and password; `url` ends in `/v3`.
  case password(url: String, user: String, userDomain: String, password: String, project: String, projectDomain: String)
  /// Keystone v3 by an application credential, which knows its project; `url` ends in `/v3`.
  case applicationCredential(url: String, id: String, secret: String)

  /// Where tokens come from.
  public var url: String {
    switch self {
    case .v1(let url, _, _), .password(let url, _, _, _, _, _), .applicationCredential(let url, _, _): url
    }
  }
}

extension SwiftAuthentication: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  /// Where and who; not by what.
  public var description: String {
    switch self {
    case .v1(let url, let user, _): "\(user) at \(url)"
    case .password(let url, let user, _, _, let project, _): "\(user) of project \(project) at \(url)"
    case .applicationCredential(let url, let id, _): "application credential \(id) at \(url)"
    }
  }

  /// The same: nothing more is told to a debugger's print.
  public var debugDescription: String { description }

  /// Nothing below.
  public var customMirror: Mirror { Mirror(self, children: []) }
}

/// A token, and the account that it opens.
struct SwiftSession: Hashable, Sendable {
  var token: String
  /// Scheme, host and port.
  var origin: String
  /// As `/v1/AUTH_account`, not escaped.
  var path: String
  /// How long the token is good, from when it was asked for; nil where that was not told.
  var life: Duration?

  /// Splits `http://host:port/v1/AUTH_account`; nil where it is no such address.
  init?(token: String, storageURL: String, life: Duration?) {
    guard let address = ServiceAddress(storageURL), !token.isEmpty, let path = PercentEncoding.decode(address.path)
    else {
      return nil
    }
    self.token = token
    origin = address.origin
    self.path = path.hasSuffix("/") ? String(path.dropLast()) : path
    self.life = life
  }
}
