import Postgres
import TestKit
import Testing

@Suite(.timeLimit(.minutes(2)))
struct OptionTests {
  @Test(arguments: ["a tab\there", "a line\r\nbreak", "a mark behind a space \u{301}", "back\\slash"])
  func aSchemaMayHaveAnyName(name: String) async throws {
    try await PostgresFixture.withDatabase { db in
      let options = PostgresOptions(searchPath: [name])
      let connection = try await PostgresConnection.connect(db.conninfo, options: options)
      try await connection.execute("CREATE SCHEMA \(identifier: name)")
      let row = try #require(try await connection.query("SELECT current_schema()::text AS name").first)
      #expect(try row.get("name", as: String.self) == name)
      await connection.close()
    }
  }

  @Test func saysWhichSettingTheServerRefused() async throws {
    try await PostgresFixture.withDatabase { db in
      let error = await #expect(throws: PostgresError.self) {
        try await PostgresConnection.connect(db.conninfo + " options='-c work_mem=plenty'")
      }
      #expect(error?.sqlState == "22023")
      #expect(error?.description.contains("work_mem") == true)
    }
  }
}
