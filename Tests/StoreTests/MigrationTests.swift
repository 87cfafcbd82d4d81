import Postgres
import Store
import TestKit
import Testing

@Suite(.timeLimit(.minutes(5))) struct MigrationTests {
  private static let two = [
    "0001_first.sql": "CREATE TABLE first (id integer);",
    "0002_second.sql": "CREATE TABLE second (id integer); INSERT INTO second VALUES (1);",
    "README.md": "not a migration",
  ]

  private func withStore(_ body: (Store, PostgresPool) async throws -> Void) async throws {
    try await PostgresFixture.withDatabase { try await body(Store($0.pool), $0.pool) }
  }

  @Test func appliesEachFileOnceAndInOrder() async throws {
    try await withStore { store, _ in
      let before = try await store.migrationStatus(from: .files(Self.two))
      #expect(before.map(\.name) == ["first", "second"])
      #expect(before.allSatisfy { $0.appliedAt == nil })
      #expect(try await store.migrate(from: .files(Self.two)).map(\.version) == [1, 2])
      #expect(try await store.migrate(from: .files(Self.two)).isEmpty)
      #expect(try await store.migrationStatus(from: .files(Self.two)).allSatisfy { $0.appliedAt != nil })
    }
  }

  @Test func twoAtOnceApplyTheRealSchemaOnce() async throws {
    try await withStore { store, pool in
      async let one = store.migrate(from: StoreFixture.migrations)
      async let other = store.migrate(from: StoreFixture.migrations)
      let applied = try await one.count + other.count
      #expect(applied == (try await store.migrationStatus(from: StoreFixture.migrations).count))
      #expect(try await store.invariantViolations() == [])
      let uncommented = try await pool.query(
        """
        SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'public' AND c.relkind = 'r' AND c.relname <> 'schema_migration'
          AND obj_description(c.oid) IS NULL
        """)
      #expect(try uncommented.map { try $0.get("relname", as: String.self) } == [])
    }
  }

  @Test func refusesAChangedFile() async throws {
    try await withStore { store, _ in
      _ = try await store.migrate(from: .files(Self.two))
      var changed = Self.two
      changed["0001_first.sql"] = "CREATE TABLE first (id bigint);"
      await #expect(throws: MigrationError.changed(version: 1, name: "first")) {
        try await store.migrate(from: .files(changed))
      }
    }
  }

  @Test func refusesADatabaseItDoesNotKnow() async throws {
    try await withStore { store, _ in
      _ = try await store.migrate(from: .files(Self.two))
      await #expect(throws: MigrationError.databaseIsNewer(database: 2, program: 1)) {
        try await store.migrate(from: .files(Self.two.filter { $0.key != "0002_second.sql" }))
      }
      await #expect(throws: MigrationError.missing(version: 1, name: "first")) {
        try await store.migrate(from: .files(Self.two.filter { $0.key != "0001_first.sql" }))
      }
    }
  }

  @Test func refusesAFileThatComesTooLate() async throws {
    try await withStore { store, _ in
      _ = try await store.migrate(from: .files(["0002_second.sql": "SELECT 1;"]))
      await #expect(throws: MigrationError.outOfOrder(version: 1, name: "late")) {
        try await store.migrate(from: .files(["0001_late.sql": "SELECT 1;", "0002_second.sql": "SELECT 1;"]))
      }
    }
  }

  @Test func leavesNothingOfAFileThatFails() async throws {
    try await withStore { store, pool in
      let broken = ["0001_broken.sql": "CREATE TABLE half (id integer);\nSELECT nonsense;"]
      let error = await #expect(throws: PostgresError.self) { try await store.migrate(from: .files(broken)) }
      #expect(error?.line == 2)
      let half = try await pool.query("SELECT to_regclass('half') IS NULL AS gone")
      #expect(try half.first?.get("gone", as: Bool.self) == true)
    }
  }

  @Test func refusesFilesItCannotOrder() async throws {
    try await withStore { store, _ in
      await #expect(throws: MigrationError.twice(version: 1)) {
        try await store.migrate(from: .files(["0001_a.sql": "SELECT 1;", "0001_b.sql": "SELECT 1;"]))
      }
      await #expect(throws: MigrationError.none) { try await store.migrate(from: .files([:])) }
      await #expect(throws: MigrationError.self) { try await store.migrate(from: .directory("/nowhere")) }
    }
  }
}
