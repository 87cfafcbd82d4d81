import Crypto
import Domain
import Foundation
import Glibc
import ObjectStorage
import Store

/// The key that seals credentials: 32 random bytes in a file beside `batond`'s settings, and in no database.
struct SealingKey: Sendable {
  private let key: SymmetricKey
  /// Tells keys apart and nothing else: the first 8 bytes of a keyed hash, in hexadecimal.
  let id: String

  init() { self.init(SymmetricKey(size: .bits256)) }

  private init(_ key: SymmetricKey) {
    self.key = key
    let mark = HMAC<SHA256>.authenticationCode(for: Array("baton sealing key".utf8), using: key)
    id = mark.prefix(8).hexadecimal
  }

  /// Reads the file at `path`.
  ///
  /// Throws `SettingsError` where it is missing, open to others, or no key.
  static func read(_ path: String) throws(SettingsError) -> SealingKey {
    let data = try PrivateFile.read(
      path, what: "the key that seals credentials", advice: "make one: batond key create --config batond.json")
    let text = String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    guard let bytes = Data(base64Encoded: text), bytes.count == 32 else {
      throw SettingsError(path: path, problem: "it holds no sealing key (32 bytes in base64)")
    }
    return SealingKey(SymmetricKey(data: bytes))
  }

  /// Writes it to a new file that only its owner can read.
  ///
  /// Throws `SettingsError` where there is a file already: what is sealed with the key in it could be read no more.
  func write(_ path: String) throws(SettingsError) {
    let file = Glibc.open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard file >= 0 else {
      throw SettingsError(
        path: path,
        problem: errno == EEXIST
          ? "there is a file already, and what is sealed with the key in it could be read no more; it stays as it is"
          : "the key cannot be written: \(String(cString: strerror(errno)))")
    }
    defer { close(file) }
    let text = Array((key.withUnsafeBytes { Data($0) }.base64EncodedString() + "\n").utf8)
    guard Glibc.write(file, text, text.count) == text.count, fsync(file) == 0 else {
      let problem = String(cString: strerror(errno))
      unlink(path)
      throw SettingsError(path: path, problem: "the key cannot be written: \(problem)")
    }
  }

  /// `credentials`, for the store `name` and no other.
  func seal(_ credentials: ObjectStoreCredentials, for name: String) throws -> SealedCredentials {
    let box = try AES.GCM.seal(try JSONEncoder().encode(credentials), using: key, authenticating: Data(name.utf8))
    // The nonce has the default length, so there always is a combined form.
    guard let combined = box.combined else { throw CryptoKitError.incorrectParameterSize }
    return SealedCredentials(sealed: [UInt8](combined), keyID: id)
  }

  /// What `seal` was given.
  ///
  /// Throws `SealError`, which holds nothing of what is sealed.
  func open(_ credentials: SealedCredentials, for name: String) throws(SealError) -> ObjectStoreCredentials {
    guard credentials.keyID == id else { throw .otherKey(sealedWith: credentials.keyID, here: id) }
    do {
      let box = try AES.GCM.SealedBox(combined: credentials.sealed)
      let text = try AES.GCM.open(box, using: key, authenticating: Data(name.utf8))
      return try JSONDecoder().decode(ObjectStoreCredentials.self, from: text)
    } catch {
      throw .damaged
    }
  }
}

/// Why sealed credentials cannot be opened.
enum SealError: Error, Hashable, CustomStringConvertible {
  /// They were sealed with another key than the one in the file.
  case otherKey(sealedWith: String, here: String)
  /// They are not what was sealed, or for another store.
  case damaged

  var description: String {
    switch self {
    case .otherKey(let sealedWith, let here):
      """
      the credentials in the database are sealed with the key \(sealedWith), and the file has the key \(here): put that \
      key back, or set the credentials again (batond credentials set)
      """
    case .damaged:
      "the credentials in the database were changed or damaged: set them again (batond credentials set)"
    }
  }
}

/// Files that only their owner may read.
enum PrivateFile {
  /// All of the file at `path`.
  ///
  /// Throws `SettingsError`; what it says holds nothing of what the file says.
  static func read(_ path: String, what: String, advice: String? = nil) throws(SettingsError) -> Data {
    func refuse(_ problem: String) -> SettingsError { SettingsError(path: path, problem: problem) }
    let file = Glibc.open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else {
      let reason = String(cString: strerror(errno))
      throw refuse("\(what) cannot be read: \(reason)" + (advice.map { "; \($0)" } ?? ""))
    }
    let handle = FileHandle(fileDescriptor: file, closeOnDealloc: true)
    var status = stat()
    guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { throw refuse("\(what) is no file") }
    guard status.st_mode & 0o077 == 0 else { throw refuse("others can read \(what): chmod 600 \(path)") }
    do {
      return try handle.readToEnd() ?? Data()
    } catch {
      throw refuse("\(what) cannot be read: \(error.localizedDescription)")
    }
  }
}
