import Foundation

/// The private key to log in with.
///
/// Its description never shows the key.
public struct SSHIdentity: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  enum Source: Sendable {
    case file(String)
    case bytes([UInt8])
  }

  let source: Source
  let passphrase: String?

  private init(source: Source, passphrase: String?) {
    self.source = source
    self.passphrase = passphrase
  }

  /// The key in a file, read at each connect, so that a replaced file counts from then on.
  public static func file(_ path: String, passphrase: String? = nil) -> SSHIdentity {
    SSHIdentity(source: .file(path), passphrase: passphrase)
  }

  /// The key itself, in the text form of a key file.
  public static func key(_ bytes: [UInt8], passphrase: String? = nil) -> SSHIdentity {
    SSHIdentity(source: .bytes(bytes), passphrase: passphrase)
  }

  /// Where the key comes from, never what it is.
  public var description: String {
    switch source {
    case .file(let path): "key in \(path)"
    case .bytes: "key in memory"
    }
  }

  /// The same as `description`.
  public var debugDescription: String { description }

  /// Shows no member, so that `dump` cannot print the key.
  public var customMirror: Mirror { Mirror(self, children: []) }

  /// Reads the key and refuses it here if a server would refuse it for its type, which its answer would not say.
  func load(for endpoint: SSHEndpoint) throws(SSHError) -> [UInt8] {
    let bytes: [UInt8]
    switch source {
    case .bytes(let given): bytes = given
    case .file(let path):
      do {
        bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
      } catch {
        throw SSHError(.keyUnreadable, endpoint: endpoint, detail: "cannot read \(path)")
      }
    }
    let text = String(decoding: bytes, as: UTF8.self)
    guard let type = PrivateKeyType(text) else {
      throw SSHError(.keyUnreadable, endpoint: endpoint, detail: "\(self) is not an OpenSSH private key")
    }
    guard type.isUsable else { throw SSHError(.keyUnsupported(type: type.name), endpoint: endpoint) }
    return bytes
  }
}

/// The type of a private key, read from its clear-text part; no passphrase is needed.
struct PrivateKeyType {
  let name: String

  /// Nil when the text is no private key in a form known here.
  init?(_ text: String) {
    if text.contains("-----BEGIN RSA PRIVATE KEY-----") {
      name = "ssh-rsa"
    } else if text.contains("-----BEGIN DSA PRIVATE KEY-----") {
      name = "ssh-dss"
    } else if text.contains("-----BEGIN EC PRIVATE KEY-----") {
      name = "ecdsa-sha2"
    } else if let type = Self.openSSHType(text) {
      name = type
    } else {
      return nil
    }
  }

  /// Whether libssh2 1.10 can sign with it in a way that current servers accept.
  var isUsable: Bool { name == "ssh-ed25519" || (name.hasPrefix("ecdsa-sha2") && !name.contains("@")) }

  /// The format is described in OpenSSH's PROTOCOL.key: magic, cipher, kdf, kdf options, count, public key, ...
  private static func openSSHType(_ text: String) -> String? {
    guard let begin = text.range(of: "-----BEGIN OPENSSH PRIVATE KEY-----"),
      let end = text.range(of: "-----END OPENSSH PRIVATE KEY-----"), begin.upperBound <= end.lowerBound,
      let data = Data(
        base64Encoded: String(text[begin.upperBound..<end.lowerBound].filter { !$0.isWhitespace }))
    else { return nil }
    var reader = SSHStringReader(data)
    guard reader.bytes(15).map({ Array($0) }) == Array("openssh-key-v1\0".utf8),
      reader.string() != nil, reader.string() != nil, reader.string() != nil, reader.uint32() != nil,
      let publicKey = reader.string()
    else { return nil }
    var inner = SSHStringReader(publicKey)
    return inner.text()
  }
}
