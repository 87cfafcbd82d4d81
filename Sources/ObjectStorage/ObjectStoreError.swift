import Glibc

/// What an object store would not do, with which object, and why.
public struct ObjectStoreError: Error, Hashable, Sendable {
  /// What went wrong.
  public enum Code: String, Hashable, Sendable {
    /// There is no such object.
    case notFound
    /// The object is there and was not to be replaced.
    case exists
    /// The object is another version than the one that was asked for.
    case changed
    /// The content is not what its checksum says.
    case checksumMismatch
    /// The store does not answer, or answers with an error of its own. Trying again may help.
    case unavailable
    /// The store is full, or its quota is.
    case outOfSpace
    /// The store knows who asks, and says no.
    case denied
    /// A key that could leave the store, or that lies below another object.
    case badKey
    /// A range, a part or an upload that does not exist.
    case badRequest
    /// The file to be put could not be read: the store is not at fault.
    case sourceUnreadable
  }

  /// What went wrong.
  public var code: Code
  /// With which object.
  public var key: String
  /// Why, for people.
  public var reason: String

  /// `code` at `key`, because of `reason`.
  public init(_ code: Code, key: String, reason: String) {
    self.code = code
    self.key = key
    self.reason = reason
  }

  /// Whether the same call may succeed later without anybody doing anything.
  public var isWorthRetrying: Bool { code == .unavailable || code == .outOfSpace }
}

extension ObjectStoreError: CustomStringConvertible {
  /// `object blobs/ab/abcd: notFound: there is no such object`.
  public var description: String { "object \(key): \(code.rawValue): \(reason)" }
}

extension ObjectStoreError {
  /// What a failed call on a file of the store means for its user.
  init(_ error: SystemError, key: String) {
    let code: Code =
      switch error.code {
      case ENOENT: .notFound
      case EEXIST: .exists
      case ENOSPC, EDQUOT, EFBIG: .outOfSpace
      case EACCES, EPERM, EROFS: .denied
      case ENOTDIR, EISDIR, ENAMETOOLONG: .badKey
      default: .unavailable
      }
    self.init(code, key: key, reason: error.description)
  }
}
