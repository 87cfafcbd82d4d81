import Foundation

/// A server's public key, as `known_hosts` writes it: what a caller pins.
public struct HostKey: Sendable, Hashable, CustomStringConvertible {
  /// The types this build can verify, best first.
  ///
  /// RSA is absent: its only signature that libssh2 1.10 knows is SHA-1, which current servers refuse.
  public static let supportedTypes = [
    "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
  ]

  /// The key's type in SSH's own words, for example `ssh-ed25519`.
  public let type: String
  /// The key in SSH's wire form; it begins with the type.
  public let blob: [UInt8]

  /// A key in wire form.
  ///
  /// Nil when the bytes do not begin with a key type.
  public init?(blob: [UInt8]) {
    var reader = SSHStringReader(blob)
    guard let type = reader.text(), !type.isEmpty, type.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
      return nil
    }
    self.type = type
    self.blob = blob
  }

  /// Reads `TYPE BASE64`, with or without a comment after it, as in a `.pub` file or behind the host name in
  /// `known_hosts`.
  ///
  /// Nil when it is not such a line or when the type named is not the one inside the key.
  public init?(_ line: String) {
    let words = line.split(whereSeparator: { $0.isWhitespace })
    guard words.count >= 2, let data = Data(base64Encoded: String(words[1])) else { return nil }
    self.init(blob: [UInt8](data))
    guard type == words[0] else { return nil }
  }

  /// `TYPE BASE64`: what `init(_:)` reads.
  public var description: String { "\(type) \(Data(blob).base64EncodedString())" }

  /// `SHA256:...`, as `ssh-keygen -l` and ssh's own warnings print it.
  public var fingerprint: String {
    let digest = Data(SHA256.digest(blob)).base64EncodedString()
    return "SHA256:" + digest.prefix(while: { $0 != "=" })
  }
}
