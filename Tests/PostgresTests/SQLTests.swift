import Postgres
import TestKit
import Testing

@Suite(.timeLimit(.minutes(2)))
struct SQLTests {
  @Test(arguments: [
    "'; DROP TABLE word; --", "\"double\" and 'single' and \\ back\\slash", "$1 $2 %s ? :name", "naïve 東京 🚀 e\u{301}",
    "", " \t\r\n", "NULL", "{}", "\\x41",
  ])
  func bindsAnyStringAsItIs(_ nasty: String) async throws {
    try await PostgresFixture.withDatabase { db in
      try await db.pool.execute("CREATE TABLE word (text text NOT NULL)")
      try await db.pool.execute("INSERT INTO word (text) VALUES (\(nasty))")
      let rows = try await db.pool.query("SELECT text FROM word WHERE text = \(nasty)")
      #expect(try rows.map { try $0.get("text", as: String.self) } == [nasty])
    }
  }

  @Test func refusesNULInATextParameterAndSaysWhichOne() async throws {
    try await PostgresFixture.withDatabase { db in
      let error = await #expect(throws: PostgresError.self) {
        try await db.pool.execute("SELECT \(1)::int, \("secret\0")::text")
      }
      #expect(error?.code == .invalidBind)
      #expect(error?.message.contains("$2") == true)
      #expect(error?.description.contains("secret") == false)
    }
  }

  @Test func numbersParametersOfEmbeddedFragments() {
    let filter: SQL = "state = \("running") AND priority > \(3)"
    let statement: SQL = "SELECT \(raw: "id") FROM job WHERE owner = \(7) AND (\(filter)) LIMIT \(10)"
    #expect(statement.text == "SELECT id FROM job WHERE owner = $1 AND (state = $2 AND priority > $3) LIMIT $4")
  }

  @Test func quotesIdentifiers() {
    let statement: SQL = "LISTEN \(identifier: "a\"b; DROP")"
    #expect(statement.text == "LISTEN \"a\"\"b; DROP\"")
  }

  @Test func describesAStatementWithoutItsValues() {
    let statement: SQL = "SELECT \("hunter2")"
    #expect("\(statement)" == "SELECT $1")
  }
}
