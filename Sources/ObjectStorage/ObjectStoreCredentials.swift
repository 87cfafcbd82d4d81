/// What opens a store: kept sealed, and never printed.
public enum ObjectStoreCredentials: Hashable, Sendable, Codable {
  /// Of S3.
  case s3(S3Credentials)
  /// Of OpenStack Swift.
  case swift(SwiftCredentials)
}

/// Who asks an S3 service, and which.
public struct S3Credentials: Hashable, Sendable, Codable {
  /// Scheme, host and port: `https://s3.eu-central-1.amazonaws.com`.
  public var endpoint: String
  /// As `us-east-1`.
  public var region: String
  /// Whether the bucket is part of the host's name.
  public var isVirtualHosted: Bool
  /// Names the credential.
  public var accessKey: String
  /// The secret.
  public var secretKey: String
  /// Goes with temporary credentials.
  public var sessionToken: String?

  /// A credential for a service.
  public init(
    endpoint: String, region: String, isVirtualHosted: Bool, accessKey: String, secretKey: String,
    sessionToken: String? = nil
  ) {
    self.endpoint = endpoint
    self.region = region
    self.isVirtualHosted = isVirtualHosted
    self.accessKey = accessKey
    self.secretKey = secretKey
    self.sessionToken = sessionToken
  }
}

/// Who asks OpenStack Swift, and which of its endpoints.
public struct SwiftCredentials: Hashable, Sendable, Codable {
  /// Who asks.
  public var authentication: SwiftAuthentication
  /// Of Keystone's catalog; nil for the first.
  public var region: String?
  /// `public`, `internal` or `admin`; nil for `public`.
  public var interface: String?
  /// The secret of temporary URLs; nil for the container's.
  public var tempURLKey: String?

  /// A credential for an account.
  public init(
    authentication: SwiftAuthentication, region: String? = nil, interface: String? = nil, tempURLKey: String? = nil
  ) {
    self.authentication = authentication
    self.region = region
    self.interface = interface
    self.tempURLKey = tempURLKey
  }
}

extension ObjectStoreLocation {
  /// The store at this place; `.badRequest` where `credentials` are for another kind of store, or are missing.
  public func open(
    _ credentials: ObjectStoreCredentials?, retry: StoreRetryPolicy = StoreRetryPolicy(),
    patience: HTTPPatience = HTTPPatience()
  ) throws(ObjectStoreError) -> any ObjectStore {
    switch (self, credentials) {
    case (.file(let path), _): return FileObjectStore(root: path)
    case (.s3(let bucket, let prefix), .s3(let known)):
      return S3ObjectStore(
        S3Settings(
          endpoint: known.endpoint, region: known.region, bucket: bucket, prefix: prefix,
          isVirtualHosted: known.isVirtualHosted, retry: retry, patience: patience),
        accessKey: known.accessKey, secretKey: known.secretKey, sessionToken: known.sessionToken)
    case (.swift(let container, let prefix), .swift(let known)):
      return SwiftObjectStore(
        SwiftSettings(
          container: container, prefix: prefix, region: known.region, interface: known.interface ?? "public",
          tempURLKey: known.tempURLKey, retry: retry, patience: patience),
        authentication: known.authentication)
    case (.s3, _), (.swift, _):
      throw ObjectStoreError(.badRequest, key: "", reason: "\(self) needs credentials of its own kind")
    }
  }
}

extension ObjectStoreCredentials: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  /// For which service, and who; not by what.
  public var description: String {
    switch self {
    case .s3(let known): known.description
    case .swift(let known): known.description
    }
  }

  /// The same: nothing more is told to a debugger's print.
  public var debugDescription: String { description }

  /// Nothing below.
  public var customMirror: Mirror { Mirror(self, children: []) }
}

extension S3Credentials: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  /// The service and the access key's name.
  public var description: String { "S3 \(endpoint) as \(accessKey)" }

  /// The same: nothing more is told to a debugger's print.
  public var debugDescription: String { description }

  /// Nothing below.
  public var customMirror: Mirror { Mirror(self, children: []) }
}

extension SwiftCredentials: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  /// Where and who.
  public var description: String { "Swift as \(authentication)" }

  /// The same: nothing more is told to a debugger's print.
  public var debugDescription: String { description }

  /// Nothing below.
  public var customMirror: Mirror { Mirror(self, children: []) }
}
