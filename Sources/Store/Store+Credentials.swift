public import Domain
import Postgres

/// Credentials of an object store, as the database has them: nobody reads them without the key.
public struct SealedCredentials: Hashable, Sendable {
  /// Nonce, ciphertext and tag.
  public var sealed: [UInt8]
  /// Which key opens them; 16 lower-case hexadecimal digits.
  public var keyID: String

  /// Credentials that the key `keyID` opens.
  public init(sealed: [UInt8], keyID: String) {
    self.sealed = sealed
    self.keyID = keyID
  }
}

/// What the database tells about credentials.
public struct CredentialsRecord: Hashable, Sendable {
  /// The credentials, sealed.
  public var credentials: SealedCredentials
  /// Who set them.
  public var setBy: String
  /// When.
  public var setAt: Timestamp
}

extension Store {
  /// Keeps the credentials of the store `name`, in the place of those it had.
  public func setCredentials(_ name: String, _ credentials: SealedCredentials, by actor: Actor) async throws {
    try await transaction { transaction in
      try await transaction.execute(
        """
        INSERT INTO store_credentials (name, sealed, key_id, set_by)
        VALUES (\(name), \(credentials.sealed), \(credentials.keyID), \(actor.text))
        ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed, key_id = excluded.key_id, set_by = excluded.set_by,
          set_at = clock_timestamp()
        """)
      try await record(
        "credentials.set", Subject(kind: "store", id: 1), project: nil, by: actor,
        detail: ["name": name, "key": credentials.keyID], in: transaction)
    }
  }

  /// The credentials of the store `name`; nil where it has none.
  public func credentials(_ name: String) async throws -> CredentialsRecord? {
    try await pool.first("SELECT sealed, key_id, set_by, set_at FROM store_credentials WHERE name = \(name)").map {
      CredentialsRecord(
        credentials: SealedCredentials(sealed: try $0.get("sealed"), keyID: try $0.get("key_id")),
        setBy: try $0.get("set_by"), setAt: try $0.get("set_at"))
    }
  }

  /// Forgets the credentials of the store `name`; `.stale` where it has none.
  public func removeCredentials(_ name: String, by actor: Actor) async throws -> Guarded<String> {
    try await transaction { transaction in
      guard
        try await transaction.first("DELETE FROM store_credentials WHERE name = \(name) RETURNING name") != nil
      else { return .stale }
      try await record(
        "credentials.remove", Subject(kind: "store", id: 1), project: nil, by: actor, detail: ["name": name],
        in: transaction)
      return .done(name)
    }
  }

  // MARK: Folders

  /// What the folder at `location` said that it is when it was first used; nil where it was not.
  public func storeIdentity(of location: String) async throws -> String? {
    try await pool.first("SELECT identity FROM store_identity WHERE location = \(location)")?.get("identity")
  }

  /// Keeps `identity` as what the folder at `location` is, unless another was kept before; gives what is kept.
  public func keepStoreIdentity(_ identity: String, of location: String) async throws -> String {
    try await transaction { transaction in
      try await transaction.execute(
        """
        INSERT INTO store_identity (location, identity) VALUES (\(location), \(identity)) ON CONFLICT DO NOTHING
        """)
      return try await transaction.one("SELECT identity FROM store_identity WHERE location = \(location)").get(
        "identity")
    }
  }
}
