import Domain
import Glibc
import ObjectStorage
import Store

extension Settings {
  /// Under which name the database has the credentials of `object_store`.
  static let siteStore = "site"

  /// The key that seals credentials.
  ///
  /// Throws `SettingsError` where none is named, or it cannot be read.
  func sealingKey() throws(SettingsError) -> SealingKey {
    guard let objectStoreKey else {
      throw SettingsError(
        path: "batond.json",
        problem: """
          \(CodingKeys.objectStoreKey.rawValue) is missing: name a file for the key that seals credentials, and make it \
          with batond key create --config batond.json
          """)
    }
    return try SealingKey.read(objectStoreKey)
  }

  /// Opens the object store, with the credentials that the database has sealed, and what else its account holds.
  ///
  /// Throws `SettingsError` where they are missing, cannot be opened, or are of another kind than the store.
  func openObjectStore(_ store: Store) async throws -> (objects: any ObjectStore, sources: DataSources) {
    let location = try ObjectStoreLocation(objectStore)
    let credentials = try await credentials(of: location, store)
    let allowed = try dataSources?.map(ObjectStoreLocation.init)
    let sources = DataSources(own: location, credentials: credentials, allowed: allowed)
    guard case .file(let path) = location else { return (try open(location, credentials), sources) }
    let identity = try await identity(of: path, "\(location)", store)
    return (FileObjectStore(root: path, identity: identity), sources)
  }

  /// What the folder has to say that it is: what it was when it was first used.
  ///
  /// Nil where it was not used before and is not there: then every call says so.
  private func identity(of path: String, _ location: String, _ store: Store) async throws -> String? {
    if let known = try await store.storeIdentity(of: location) { return known }
    guard access(path, F_OK) == 0 else { return nil }
    let fresh = (0..<16).map { _ in UInt8.random(in: .min ... .max) }.hexadecimal
    let found: String
    do throws(ObjectStoreError) {
      found = try FileObjectStore.identify(path, as: fresh)
    } catch {
      throw SettingsError(path: "batond.json", problem: "object_store: \(error)")
    }
    return try await store.keepStoreIdentity(found, of: location)
  }

  private func credentials(
    of location: ObjectStoreLocation, _ store: Store
  ) async throws -> ObjectStoreCredentials? {
    if case .file = location { return nil }
    guard let record = try await store.credentials(Self.siteStore) else {
      throw SettingsError(
        path: "batond.json",
        problem: "nothing opens \(location): batond credentials set --config batond.json < credentials.json")
    }
    do {
      return try sealingKey().open(record.credentials, for: Self.siteStore)
    } catch let error as SealError {
      throw SettingsError(path: objectStoreKey ?? "batond.json", problem: "\(error)")
    }
  }

  /// Opens `location` with `credentials`.
  ///
  /// Throws `SettingsError` where these are of another kind than the store.
  func open(_ location: ObjectStoreLocation, _ credentials: ObjectStoreCredentials?) throws -> any ObjectStore {
    do throws(ObjectStoreError) {
      return try location.open(credentials)
    } catch {
      throw SettingsError(path: "batond.json", problem: "object_store: \(error.reason)")
    }
  }
}
