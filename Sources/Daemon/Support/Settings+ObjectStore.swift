import Domain
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
    return (
      try open(location, credentials), DataSources(own: location, credentials: credentials, allowed: allowed)
    )
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
