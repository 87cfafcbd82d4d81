import Postgres
import Store
import Testing

@Suite(.timeLimit(.minutes(5))) struct CredentialsTests {
  private let key = "0123456789abcdef"

  @Test func keepsTheLastThatWereSet() async throws {
    try await StoreFixture.with { f in
      #expect(try await f.store.credentials("site") == nil)
      let first = SealedCredentials(sealed: (0..<64).map { UInt8($0) }, keyID: key)
      try await f.store.setCredentials("site", first, by: .admin)
      #expect(try await f.store.credentials("site")?.credentials == first)
      let second = SealedCredentials(sealed: [UInt8](repeating: 255, count: 29), keyID: String(key.reversed()))
      try await f.store.setCredentials("site", second, by: f.actor)
      let record = try #require(try await f.store.credentials("site"))
      #expect(record.credentials == second)
      #expect(record.setBy == f.actor.text)
      #expect(try await f.store.credentials("other") == nil)
      #expect(try await f.store.removeCredentials("site", by: .admin) == .done("site"))
      #expect(try await f.store.removeCredentials("site", by: .admin) == .stale)
      #expect(try await f.store.credentials("site") == nil)
    }
  }

  @Test func refusesWhatCannotBeSealed() async throws {
    try await StoreFixture.with { f in
      await #expect(throws: PostgresError.self) {
        try await f.store.setCredentials("site", SealedCredentials(sealed: [1], keyID: key), by: .admin)
      }
      await #expect(throws: PostgresError.self) {
        let sealed = SealedCredentials(sealed: [UInt8](repeating: 1, count: 40), keyID: "no key")
        try await f.store.setCredentials("site", sealed, by: .admin)
      }
    }
  }

  @Test func aFolderIsTheStoreThatItWasFirst() async throws {
    try await StoreFixture.with { f in
      let (first, second) = (String(repeating: "a", count: 32), String(repeating: "b", count: 32))
      let unknown = try await f.store.storeIdentity(of: "file:///objects")
      #expect(unknown == nil)
      #expect(try await f.store.keepStoreIdentity(first, of: "file:///objects") == first)
      #expect(try await f.store.keepStoreIdentity(second, of: "file:///objects") == first)
      #expect(try await f.store.storeIdentity(of: "file:///objects") == first)
    }
  }
}
