import Foundation
import Glibc
import ObjectStorage
import Store
import Testing

@testable import Daemon

@Suite struct SealingTests {
  private let credentials = ObjectStoreCredentials.s3(
    S3Credentials(
      endpoint: "https://s3.example.org", region: "r", isVirtualHosted: false, accessKey: "AKIA", secretKey: "hush hush"
    ))

  private func withFolder(_ body: (String) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("baton-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try body(folder)
  }

  @Test func opensWhatItSealed() throws {
    let key = SealingKey()
    let sealed = try key.seal(credentials, for: "site")
    #expect(try key.open(sealed, for: "site") == credentials)
    #expect(!String(decoding: sealed.sealed, as: UTF8.self).contains("hush"))
    // The same twice tells nobody that it is the same.
    #expect(try key.seal(credentials, for: "site") != sealed)
  }

  @Test func opensNothingThatWasChangedOrIsOfAnotherStore() throws {
    let key = SealingKey()
    let sealed = try key.seal(credentials, for: "site")
    #expect(throws: SealError.damaged) { try key.open(sealed, for: "other") }
    for index in sealed.sealed.indices {
      var changed = sealed
      changed.sealed[index] ^= 1
      #expect(throws: SealError.damaged) { try key.open(changed, for: "site") }
    }
    #expect(throws: SealError.damaged) { try key.open(SealedCredentials(sealed: [1], keyID: key.id), for: "site") }
  }

  @Test func namesTheKeyThatIsWanted() throws {
    let old = SealingKey(), new = SealingKey()
    let sealed = try old.seal(credentials, for: "site")
    let error = #expect(throws: SealError.self) { try new.open(sealed, for: "site") }
    #expect(error == .otherKey(sealedWith: old.id, here: new.id))
    #expect(error?.description.contains("hush") == false)
  }

  @Test func aKeyIsWrittenOnceAndReadByItsOwnerAlone() throws {
    try withFolder { folder in
      let path = folder + "/key"
      let key = SealingKey()
      try key.write(path)
      let again = try SealingKey.read(path)
      #expect(again.id == key.id)
      #expect(try again.open(key.seal(credentials, for: "site"), for: "site") == credentials)
      #expect(throws: SettingsError.self) { try SealingKey().write(path) }
      #expect(try SealingKey.read(path).id == key.id)
      chmod(path, 0o640)
      let error = #expect(throws: SettingsError.self) { try SealingKey.read(path) }
      #expect(error?.problem.contains("chmod 600") == true)
    }
  }

  @Test func saysHowAKeyIsMade() throws {
    try withFolder { folder in
      let missing = #expect(throws: SettingsError.self) { try SealingKey.read(folder + "/key") }
      #expect(missing?.problem.contains("batond key create") == true)
      try Data("short\n".utf8).write(to: URL(fileURLWithPath: folder + "/bad"))
      chmod(folder + "/bad", 0o600)
      let bad = #expect(throws: SettingsError.self) { try SealingKey.read(folder + "/bad") }
      #expect(bad?.problem.contains("no sealing key") == true)
    }
  }

  @Test func readsEveryFormOfCredentials() throws {
    let forms: [(String, String)] = [
      (#"{"s3": {"endpoint": "http://h", "access_key": "me", "secret_key": "hush"}}"#, "me"),
      (
        #"{"swift": {"auth_url": "http://h/v3", "application_credential_id": "me", "application_credential_secret": "hush"}}"#,
        "me"
      ),
      (#"{"swift": {"auth_url": "http://h/v3", "username": "me", "password": "hush", "project": "p"}}"#, "me"),
      (#"{"swift": {"auth_url": "http://h/auth/v1.0", "user": "me:me", "key": "hush"}}"#, "me"),
    ]
    for (text, who) in forms {
      let known = try CredentialsFile.parse(Data(text.utf8), of: "a test")
      #expect("\(known)".contains(who))
      #expect(!"\(known)".contains("hush"))
    }
    for text in [
      "{}", "[", #"{"s3": {"endpoint": "http://h", "access_key": "me"}}"#,
      #"{"swift": {"auth_url": "x", "password": "hush"}}"#,
    ] {
      let error = #expect(throws: SettingsError.self) { try CredentialsFile.parse(Data(text.utf8), of: "a test") }
      #expect(error?.problem.contains("hush") == false)
    }
  }
}
