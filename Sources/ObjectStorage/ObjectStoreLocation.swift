/// Where objects are, as people write it: `file:///path`, `s3://bucket/prefix`, `swift://container/prefix`.
public enum ObjectStoreLocation: Hashable, Sendable {
  /// A folder, by its absolute path.
  case file(path: String)
  /// A bucket; the prefix is empty or ends with a slash.
  case s3(bucket: String, prefix: String)
  /// A container of the account that the credentials open; the prefix is empty or ends with a slash.
  case swift(container: String, prefix: String)

  /// Why a text is no location.
  public struct SyntaxError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What was written.
    public var text: String
    /// What is wrong with it, and what would be right.
    public var reason: String

    /// `'s3:/x' is no place for objects: ...`.
    public var description: String { "'\(text)' is no place for objects: \(reason)" }
  }

  /// Reads `text`.
  public init(_ text: String) throws(SyntaxError) {
    guard let separator = text.firstRange(of: "://") else {
      let hint = text.hasPrefix("/") ? "write file://\(text)" : "write file:///path, s3://bucket or swift://container"
      throw SyntaxError(text: text, reason: hint)
    }
    let scheme = text[..<separator.lowerBound].lowercased()
    let rest = String(text[separator.upperBound...])
    switch scheme {
    case "file":
      guard rest.hasPrefix("/") else {
        throw SyntaxError(text: text, reason: "a folder is named by its absolute path: file:///\(rest)")
      }
      self = .file(path: rest)
    case "s3":
      let (bucket, prefix) = try Self.split(rest, text, what: "bucket")
      guard (3...63).contains(bucket.utf8.count), bucket.utf8.allSatisfy(Self.isBucketByte) else {
        throw SyntaxError(
          text: text,
          reason: "a bucket's name has 3 to 63 letters, digits, '.', '-', '_' or '+', and '\(bucket)' has not")
      }
      self = .s3(bucket: bucket, prefix: prefix)
    case "swift":
      let (container, prefix) = try Self.split(rest, text, what: "container")
      guard container.utf8.count <= 256 else {
        throw SyntaxError(text: text, reason: "a container's name has 256 bytes at most")
      }
      self = .swift(container: container, prefix: prefix)
    case "http", "https":
      throw SyntaxError(
        text: text,
        reason: "an address of a service goes with its credentials: here write s3://bucket or swift://container")
    default:
      throw SyntaxError(
        text: text, reason: "'\(scheme)' is unknown: write file:///path, s3://bucket or swift://container")
    }
  }

  private static func split(
    _ rest: String, _ text: String, what: String
  ) throws(SyntaxError) -> (name: String, prefix: String) {
    guard !rest.contains(where: { "?#@".contains($0) }) else {
      throw SyntaxError(text: text, reason: "it names a \(what) and a prefix, without '?', '#' and '@'")
    }
    let parts = rest.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard let name = parts.first, !name.isEmpty else {
      throw SyntaxError(text: text, reason: "the name of the \(what) is missing")
    }
    var prefix = parts.count > 1 ? String(parts[1]) : ""
    if !prefix.isEmpty, !prefix.hasSuffix("/") { prefix += "/" }
    let folders = prefix.split(separator: "/", omittingEmptySubsequences: false).dropLast()
    guard !folders.contains(where: { $0.isEmpty || $0 == "." || $0 == ".." }) else {
      throw SyntaxError(text: text, reason: "a prefix is names between slashes, none empty, '.' or '..'")
    }
    return (String(name), prefix)
  }

  private static func isBucketByte(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2b, 0x2d, 0x2e, 0x5f: true
    default: false
    }
  }
}

extension ObjectStoreLocation: CustomStringConvertible {
  /// As `init(_:)` reads it.
  public var description: String {
    switch self {
    case .file(let path): "file://\(path)"
    case .s3(let bucket, let prefix): "s3://\(bucket)\(prefix.isEmpty ? "" : "/" + prefix)"
    case .swift(let container, let prefix): "swift://\(container)\(prefix.isEmpty ? "" : "/" + prefix)"
    }
  }
}
