import Postgres
import TestKit
import Testing

@Suite(.timeLimit(.minutes(2)))
struct ErrorTests {
  @Test func namesTheConstraintThatWasViolated() async throws {
    try await withHolds { db in
      try await db.pool.execute("INSERT INTO hold VALUES (1, 1, '[1,10)', 5)")
      let unique = await failure(db, "INSERT INTO hold VALUES (1, 2, '[1,10)', 5)")
      #expect(unique?.code == .uniqueViolation)
      #expect(unique?.constraint == "hold_pkey")
      #expect(unique?.sqlState == "23505")
      let exclusion = await failure(db, "INSERT INTO hold VALUES (2, 1, '[9,12)', 5)")
      #expect(exclusion?.code == .exclusionViolation)
      #expect(exclusion?.constraint == "hold_once")
      let check = await failure(db, "INSERT INTO hold VALUES (3, 3, '[1,2)', \(-1))")
      #expect(check?.code == .checkViolation)
      #expect(check?.constraint == "hold_positive")
      let foreign = await failure(db, "INSERT INTO release VALUES (\(77))")
      #expect(foreign?.code == .foreignKeyViolation)
      let null = await failure(db, "INSERT INTO hold VALUES (4, NULL, '[1,2)', 5)")
      #expect(null?.code == .notNullViolation)
    }
  }

  @Test func descriptionKeepsBoundValuesToItself() async throws {
    try await withHolds { db in
      let unreadable = await failure(db, "SELECT \("hunter2")::int")
      #expect(unreadable?.code == .invalidText)
      #expect(unreadable?.message.contains("hunter2") == true)
      #expect(unreadable?.description.contains("hunter2") == false)
      try await db.pool.execute("CREATE TABLE secret (word text UNIQUE)")
      try await db.pool.execute("INSERT INTO secret VALUES (\("hunter2"))")
      let unique = await failure(db, "INSERT INTO secret VALUES (\("hunter2"))")
      #expect(unique?.detail?.contains("hunter2") == true)
      #expect("\(unique as PostgresError?, default: "-")".contains("hunter2") == false)
      #expect(unique?.description.contains("INSERT INTO secret VALUES ($1)") == true)
    }
  }

  @Test func keepsAnUnknownSQLSTATE() async throws {
    try await withHolds { db in
      try await db.pool.withConnection { connection in
        try await connection.executeScript(
          """
          CREATE FUNCTION fail() RETURNS void LANGUAGE plpgsql AS
          $$BEGIN RAISE 'on purpose' USING ERRCODE = 'BA001', HINT = 'do not', DETAIL = 'why'; END$$
          """)
      }
      let error = await failure(db, "SELECT fail()")
      #expect(error?.code == .other(sqlState: "BA001"))
      #expect(error?.message == "on purpose")
      #expect(error?.hint == "do not")
      #expect(error?.detail == "why")
      #expect(error?.severity == "ERROR")
    }
  }

  @Test func tellsDeadlocksApart() async throws {
    try await withHolds { db in
      try await db.pool.execute("CREATE TABLE item AS SELECT generate_series(1, 2) AS id")
      let first = Gate()
      let second = Gate()
      @Sendable func cross(_ mine: Int, _ other: Int, _ ready: Gate, _ otherReady: Gate) async -> PostgresError.Code? {
        do {
          try await db.pool.withTransaction { tx in
            try await tx.execute("SET LOCAL deadlock_timeout = '10ms'")
            try await tx.execute("UPDATE item SET id = id WHERE id = \(mine)")
            ready.open()
            await otherReady.passed()
            try await tx.execute("UPDATE item SET id = id WHERE id = \(other)")
          }
          return nil
        } catch {
          return (error as? PostgresError)?.code
        }
      }
      async let one = cross(1, 2, first, second)
      async let two = cross(2, 1, second, first)
      let codes = await [one, two]
      #expect(codes.contains(.deadlock))
      #expect(codes.contains(nil))
    }
  }

  private func failure(_ db: TestDatabase, _ sql: SQL) async -> PostgresError? {
    await #expect(throws: PostgresError.self) { try await db.pool.execute(sql) }
  }

  private func withHolds(_ body: (TestDatabase) async throws -> Void) async throws {
    try await PostgresFixture.withDatabase { db in
      try await db.pool.withConnection { connection in
        try await connection.executeScript(
          """
          CREATE EXTENSION btree_gist;
          CREATE TABLE hold (
            id bigint PRIMARY KEY, node bigint NOT NULL, period int4range NOT NULL,
            amount int CONSTRAINT hold_positive CHECK (amount > 0),
            CONSTRAINT hold_once EXCLUDE USING gist (node WITH =, period WITH &&));
          CREATE TABLE release (hold bigint REFERENCES hold (id));
          """)
      }
      try await body(db)
    }
  }
}
