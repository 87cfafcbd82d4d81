import TestKit
import Testing

@testable import Postgres

private struct JobID: RawRepresentable, Hashable, SQLBindable, SQLDecodable, SQLArrayElement {
  var rawValue: Int64
}

private enum State: String, SQLBindable, SQLDecodable {
  case running, done
}

@Suite(.timeLimit(.minutes(2)))
struct TypeTests {
  @Test(arguments: [0, 1, -1, Int64.max, Int64.min])
  func int64ComesBack(_ value: Int64) async throws {
    try await PostgresFixture.withDatabase { db in
      let row = try await one(db, "SELECT \(value)::bigint AS value")
      #expect(try row.get("value", as: Int64.self) == value)
      #expect(try row.get("value", as: Int.self) == Int(value))
    }
  }

  @Test(arguments: [
    0.1, -0.0, 1e308, Double.leastNonzeroMagnitude, .pi, .infinity, -.infinity, Double.greatestFiniteMagnitude, 1.0 / 3,
    123_456_789.123_456_79,
  ])
  func doubleComesBackBitForBit(_ value: Double) async throws {
    try await PostgresFixture.withDatabase { db in
      let row = try await one(db, "SELECT \(value)::double precision AS value")
      #expect(try row.get("value", as: Double.self).bitPattern == value.bitPattern)
    }
  }

  @Test func otherScalarsComeBack() async throws {
    try await PostgresFixture.withDatabase { db in
      let row = try await one(
        db,
        """
        SELECT \(Int32.min)::int AS int32, \(Float(0.1))::real AS float, \(Double.nan)::float8 AS nan,
          \(true) AS yes, \(false)::bool AS no
        """)
      #expect(try row.get("int32", as: Int32.self) == .min)
      #expect(try row.get("float", as: Float.self) == 0.1)
      #expect(try row.get("nan", as: Double.self).isNaN)
      #expect(try row.get("yes", as: Bool.self))
      #expect(try !row.get("no", as: Bool.self))
    }
  }

  @Test func bytesComeBack() async throws {
    try await PostgresFixture.withDatabase { db in
      let all = (0...255).map(UInt8.init)
      let row = try await one(
        db, "SELECT \(all)::bytea AS all, \([UInt8]())::bytea AS none, length(\(all)::bytea) AS length")
      #expect(try row.get("all", as: [UInt8].self) == all)
      #expect(try row.get("none", as: [UInt8].self) == [])
      #expect(try row.get("length", as: Int.self) == 256)
    }
  }

  @Test func arraysComeBack() async throws {
    try await PostgresFixture.withDatabase { db in
      let words = ["", "a,b", "{}", "\"quoted\"", "back\\slash", "NULL", "null", "東京", " space ", "'"]
      let numbers: [Int64] = [.min, 0, .max]
      let row = try await one(
        db, "SELECT \(words)::text[] AS words, \(numbers)::bigint[] AS numbers, \([Int64]())::bigint[] AS none")
      #expect(try row.get("words", as: [String].self) == words)
      #expect(try row.get("numbers", as: [Int64].self) == numbers)
      #expect(try row.get("none", as: [Int64].self) == [])
      let unnested = try await db.pool.query("SELECT unnest(\(words)::text[]) AS word")
      #expect(try unnested.map { try $0.get("word", as: String.self) } == words)
    }
  }

  @Test(arguments: ["'{1,NULL}'::int[]", "'{{1},{2}}'::int[]", "'[0:1]={1,2}'::int[]"])
  func refusesArraysThatAreNotPlainLists(_ literal: String) async throws {
    try await PostgresFixture.withDatabase { db in
      try await db.pool.withConnection { connection in
        try await connection.executeScript("CREATE TABLE odd AS SELECT \(literal) AS list")
      }
      let row = try await one(db, "SELECT list FROM odd")
      #expect(throws: RowError.self) { try row.get("list", as: [Int64].self) }
    }
  }

  @Test func nullsNeedAnOptional() async throws {
    try await PostgresFixture.withDatabase { db in
      let nothing: Int64? = nil
      let row = try await one(db, "SELECT \(nothing)::bigint AS nothing, \(Int64?.some(5))::bigint AS five")
      #expect(try row.get("nothing", as: Int64?.self) == nil)
      #expect(try row.get("five", as: Int64?.self) == 5)
      let error = #expect(throws: RowError.self) { try row.get("nothing", as: Int64.self) }
      #expect(error == RowError(column: "nothing", wanted: "Int64", problem: .null))
    }
  }

  @Test func wrappersForwardToTheirRawValue() async throws {
    try await PostgresFixture.withDatabase { db in
      let ids = [JobID(rawValue: 3), JobID(rawValue: 4)]
      let row = try await one(
        db, "SELECT \(ids[0])::bigint AS id, \(State.running)::text AS state, \(ids)::bigint[] AS ids, 'odd' AS odd")
      #expect(try row.get("id", as: JobID.self) == ids[0])
      #expect(try row.get("state", as: State.self) == .running)
      #expect(try row.get("ids", as: [JobID].self) == ids)
      #expect(throws: RowError.self) { try row.get("odd", as: State.self) }
    }
  }

  @Test func saysWhichColumnCouldNotBeReadAndWhatItHeld() async throws {
    try await PostgresFixture.withDatabase { db in
      let row = try await one(db, "SELECT 'abc'::text AS word, 1 AS twice, 2 AS twice")
      let unreadable = #expect(throws: RowError.self) { try row.get("word", as: Int64.self) }
      #expect(unreadable?.problem == .unreadable(text: "abc", typeOID: 25))
      #expect(unreadable?.description.contains("\"word\" is not a Int64: got \"abc\"") == true)
      let missing = #expect(throws: RowError.self) { try row.get("wrod", as: String.self) }
      #expect(missing?.problem == .noSuchColumn(available: ["word", "twice", "twice"]))
      let ambiguous = #expect(throws: RowError.self) { try row.get("twice", as: Int.self) }
      #expect(ambiguous?.problem == .ambiguousColumn)
    }
  }

  @Test func aNumberThatDoesNotFitIsNotCut() async throws {
    try await PostgresFixture.withDatabase { db in
      let row = try await one(db, "SELECT 2147483648 AS value")
      #expect(throws: RowError.self) { try row.get("value", as: Int32.self) }
    }
  }

  private func one(_ db: TestDatabase, _ sql: SQL) async throws -> Row {
    let rows = try await db.pool.query(sql)
    return try #require(rows.first)
  }
}
