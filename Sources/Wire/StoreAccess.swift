import Domain

/// How an agent reaches the object store.
///
/// Lives no longer than the lease, and travels over stdin only: its descriptions say nothing that lets anybody in.
public enum StoreAccess: Hashable, Sendable, Codable {
  /// A folder that the node can see: for a lab, or a file system that all nodes share; used only while `identity` is
  /// what it says that it is, nil for any.
  case folder(path: String, identity: String? = nil)
  /// OpenStack Swift by signatures, each for a prefix and a method. It cannot list.
  case swiftTempURL(SwiftTempURLAccess)
  /// S3 by the signing keys of the lease's days.
  case s3(S3Access)
}

/// Signatures for what lies below prefixes of a Swift container (`temp_url_prefix`).
public struct SwiftTempURLAccess: Hashable, Sendable, Codable {
  /// One signature.
  public struct Grant: Hashable, Sendable, Codable {
    /// `GET`, `HEAD`, `PUT` or `DELETE`.
    public var method: String
    /// Prefix of the object names that it is good for, as they are in the container.
    public var prefix: String
    /// HMAC-SHA256 in hexadecimal digits.
    public var signature: String

    /// `signature` for `method` below `prefix`.
    public init(method: String, prefix: String, signature: String) {
      self.method = method
      self.prefix = prefix
      self.signature = signature
    }
  }

  /// Scheme, host and port.
  public var origin: String
  /// `/v1/AUTH_account/container`, not escaped.
  public var containerPath: String
  /// What stands before every key, empty or with a slash at its end.
  public var prefix: String
  /// What may be done.
  public var grants: [Grant]
  /// When all signatures end, in seconds since 1970.
  public var expires: Int64

  /// Signatures that end at `expires`.
  public init(origin: String, containerPath: String, prefix: String, grants: [Grant], expires: Int64) {
    self.origin = origin
    self.containerPath = containerPath
    self.prefix = prefix
    self.grants = grants
    self.expires = expires
  }
}

/// A bucket, and the keys that sign requests of some days.
///
/// A day's key signs what the whole credential may do, on that UTC day and no other, in one region; the secret cannot be
/// computed from it. It knows nothing of prefixes: whoever wants nodes kept apart gives Baton a credential, or a
/// bucket policy, for that bucket alone.
public struct S3Access: Hashable, Sendable, Codable {
  /// The signing key of one UTC day.
  public struct DayKey: Hashable, Sendable, Codable {
    /// `20261121`.
    public var day: String
    /// 64 hexadecimal digits.
    public var key: String

    /// `key` of `day`.
    public init(day: String, key: String) {
      self.day = day
      self.key = key
    }
  }

  /// Scheme, host and port of the service, without the bucket.
  public var endpoint: String
  /// As `us-east-1`.
  public var region: String
  /// The bucket.
  public var bucket: String
  /// What stands before every key, empty or with a slash at its end.
  public var prefix: String
  /// Whether the bucket is part of the host's name; else it is the first part of the path.
  public var isVirtualHosted: Bool
  /// Names the credential.
  public var accessKey: String
  /// Sent along with temporary credentials.
  public var sessionToken: String?
  /// One for each day.
  public var days: [DayKey]

  /// A bucket for `days`.
  public init(
    endpoint: String, region: String, bucket: String, prefix: String, isVirtualHosted: Bool, accessKey: String,
    sessionToken: String?, days: [DayKey]
  ) {
    self.endpoint = endpoint
    self.region = region
    self.bucket = bucket
    self.prefix = prefix
    self.isVirtualHosted = isVirtualHosted
    self.accessKey = accessKey
    self.sessionToken = sessionToken
    self.days = days
  }
}

extension StoreAccess: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  /// Where the store is, and until when.
  public var description: String {
    switch self {
    case .folder(let path, _): "folder \(path)"
    case .swiftTempURL(let access): access.description
    case .s3(let access): access.description
    }
  }

  /// The same: nothing more is told to a debugger's print.
  public var debugDescription: String { description }

  /// Nothing below.
  public var customMirror: Mirror { Mirror(self, children: []) }
}

extension SwiftTempURLAccess: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  /// Where the container is, and until when.
  public var description: String {
    "Swift \(origin)\(containerPath)/\(prefix) by temporary URLs until \(Timestamp(microseconds: expires * 1_000_000))"
  }

  /// The same: nothing more is told to a debugger's print.
  public var debugDescription: String { description }

  /// Nothing below.
  public var customMirror: Mirror { Mirror(self, children: []) }
}

extension S3Access: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  /// Where the bucket is, and for which days.
  public var description: String {
    "S3 \(endpoint) bucket \(bucket)/\(prefix) on \(days.map(\.day).joined(separator: ", "))"
  }

  /// The same: nothing more is told to a debugger's print.
  public var debugDescription: String { description }

  /// Nothing below.
  public var customMirror: Mirror { Mirror(self, children: []) }
}
