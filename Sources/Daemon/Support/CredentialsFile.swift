import Foundation
import ObjectStorage

/// What opens the object store, as people write it: JSON with one key, `s3` or `swift`.
///
/// `batond credentials set` reads it once; at rest credentials are sealed (`SealingKey`).
///
/// ```json
/// {"s3": {"endpoint": "https://s3.example.org", "region": "us-east-1", "access_key": "...", "secret_key": "..."}}
/// {"swift": {"auth_url": "https://keystone.example.org/v3", "application_credential_id": "...",
///            "application_credential_secret": "..."}}
/// {"swift": {"auth_url": "https://keystone.example.org/v3", "username": "...", "password": "...", "project": "..."}}
/// {"swift": {"auth_url": "https://swift.example.org/auth/v1.0", "user": "account:user", "key": "..."}}
/// ```
struct CredentialsFile: Decodable {
  struct S3: Decodable {
    var endpoint: String
    var region: String?
    var accessKey: String
    var secretKey: String
    var sessionToken: String?
    var virtualHosted: Bool?
  }

  struct Swift: Decodable {
    var authURL: String
    var region: String?
    var interface: String?
    var tempURLKey: String?
    var applicationCredentialID: String?
    var applicationCredentialSecret: String?
    var username: String?
    var userDomain: String?
    var password: String?
    var project: String?
    var projectDomain: String?
    var user: String?
    var key: String?

    enum CodingKeys: String, CodingKey {
      case authURL = "authUrl"
      case tempURLKey = "tempUrlKey"
      case applicationCredentialID = "applicationCredentialId"
      case region, interface, applicationCredentialSecret, username, userDomain, password, project, projectDomain
      case user, key
    }
  }

  var s3: S3?
  var swift: Swift?

  /// Reads the file at `path`, or standard input for `-`.
  ///
  /// Throws `SettingsError`; what it says holds nothing of what the file says.
  static func read(_ path: String) throws(SettingsError) -> ObjectStoreCredentials {
    guard path == "-" else {
      return try parse(PrivateFile.read(path, what: "the file of credentials"), of: path)
    }
    do {
      return try parse(FileHandle.standardInput.readToEnd() ?? Data(), of: "standard input")
    } catch let error as SettingsError {
      throw error
    } catch {
      throw SettingsError(path: "standard input", problem: "it cannot be read: \(error.localizedDescription)")
    }
  }

  /// Reads `text`, which came from `origin`.
  static func parse(_ text: Data, of origin: String) throws(SettingsError) -> ObjectStoreCredentials {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    let file: CredentialsFile
    do {
      file = try decoder.decode(CredentialsFile.self, from: text)
    } catch let error as DecodingError {
      throw SettingsError(path: origin, problem: Settings.explain(error))
    } catch {
      throw SettingsError(path: origin, problem: "it cannot be read: \(error.localizedDescription)")
    }
    guard let credentials = file.credentials else {
      throw SettingsError(
        path: origin,
        problem: """
          it opens no store: write {"s3": {endpoint, access_key, secret_key}}, or {"swift": {auth_url, ...}} with \
          application_credential_id and application_credential_secret, or username, password and project, or user \
          and key
          """)
    }
    return credentials
  }

  private var credentials: ObjectStoreCredentials? {
    if let s3, swift == nil {
      return .s3(
        S3Credentials(
          endpoint: s3.endpoint, region: s3.region ?? "us-east-1", isVirtualHosted: s3.virtualHosted ?? false,
          accessKey: s3.accessKey, secretKey: s3.secretKey, sessionToken: s3.sessionToken))
    }
    guard let swift, s3 == nil, let authentication = swift.authentication else { return nil }
    return .swift(
      SwiftCredentials(
        authentication: authentication, region: swift.region, interface: swift.interface, tempURLKey: swift.tempURLKey))
  }
}

extension CredentialsFile.Swift {
  fileprivate var authentication: SwiftAuthentication? {
    if let applicationCredentialID, let applicationCredentialSecret {
      return .applicationCredential(url: authURL, id: applicationCredentialID, secret: applicationCredentialSecret)
    }
    if let username, let password, let project {
      return .password(
        url: authURL, user: username, userDomain: userDomain ?? "default", password: password, project: project,
        projectDomain: projectDomain ?? "default")
    }
    if let user, let key { return .v1(url: authURL, user: user, key: key) }
    return nil
  }
}
