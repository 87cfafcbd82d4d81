import Postgres
import TestKit
import Testing

@Suite(.timeLimit(.minutes(5))) struct CopyTests {
  @Test func bringsInEveryRowAsItIs() async throws {
    try await PostgresFixture.withDatabase { db in
      try await db.pool.execute("CREATE TABLE item (number bigint, text text, value double precision)")
      let texts = ["plain", "tab\t", "line\nand\r", #"back\slash \N \."#, "", "\u{1F642}", #"\."#]
      var rows = CopyRows()
      for (number, text) in texts.enumerated() {
        rows.add(number)
        rows.add(text)
        rows.add(number == 0 ? Double.nan : number == 1 ? -Double.infinity : 0.1)
        rows.endRow()
      }
      rows.add(Int?.none)
      rows.add(String?.none)
      rows.add(Double?.none)
      rows.endRow()
      let sent = rows
      let count = try await db.pool.withTransaction {
        try await $0.copy(sent, into: "item", columns: ["number", "text", "value"])
      }
      #expect(count == 8)
      let found = try await db.pool.query("SELECT number, text, value FROM item ORDER BY number NULLS LAST")
      #expect(try found.dropLast().map { try $0.get("text", as: String.self) } == texts)
      #expect(try found[0].get("value", as: Double.self).isNaN)
      #expect(try found[1].get("value", as: Double.self) == -.infinity)
      #expect(try found[2].get("value", as: Double.self) == 0.1)
      #expect(try found.last?.get("text", as: String?.self) == nil)
    }
  }

  @Test func sendsMoreThanAnyBufferHolds() async throws {
    try await PostgresFixture.withDatabase { db in
      try await db.pool.execute("CREATE TABLE item (number bigint, text text)")
      var rows = CopyRows()
      let text = String(repeating: "x", count: 100)
      for number in 0..<100_000 {
        rows.add(number)
        rows.add(text)
        rows.endRow()
      }
      let sent = rows
      let count = try await db.pool.withConnection {
        try await $0.copy(sent, into: "item", columns: ["number", "text"])
      }
      #expect(count == 100_000)
      let sum = try await db.pool.query("SELECT sum(number)::bigint AS n FROM item")
      #expect(try sum.first?.get("n", as: Int.self) == 4_999_950_000)
    }
  }

  @Test func aRowThatIsRefusedLeavesNoneAndTheConnectionWhole() async throws {
    try await PostgresFixture.withDatabase { db in
      try await db.pool.execute("CREATE TABLE item (number bigint PRIMARY KEY)")
      try await db.pool.withConnection { connection in
        var rows = CopyRows()
        for number in [1, 2, 2] {
          rows.add(number)
          rows.endRow()
        }
        let sent = rows
        let twice = await #expect(throws: PostgresError.self) {
          try await connection.copy(sent, into: "item", columns: ["number"])
        }
        #expect(twice?.code == .uniqueViolation)
        var open = CopyRows()
        open.add(1)
        let unfinished = open
        let misuse = await #expect(throws: PostgresError.self) {
          try await connection.copy(unfinished, into: "item", columns: ["number"])
        }
        #expect(misuse?.code == .misuse)
        #expect(try await connection.copy(CopyRows(), into: "item", columns: ["number"]) == 0)
        let found = try await connection.query("SELECT count(*) AS n FROM item")
        #expect(try found.first?.get("n", as: Int.self) == 0)
      }
    }
  }

  @Test func givesUpWithItsTask() async throws {
    try await PostgresFixture.withDatabase { db in
      try await db.pool.execute("CREATE TABLE item (number bigint)")
      try await db.pool.withConnection { blocker in
        _ = try await blocker.execute("SELECT 1")
        try await blocker.withTransaction { transaction in
          try await transaction.execute("LOCK TABLE item IN ACCESS EXCLUSIVE MODE")
          var rows = CopyRows()
          rows.add(1)
          rows.endRow()
          let sent = rows
          try await db.pool.withConnection { connection in
            let late = await #expect(throws: PostgresError.self) {
              try await connection.copy(sent, into: "item", columns: ["number"], timeout: .milliseconds(50))
            }
            #expect(late?.code == .timeout)
            _ = try await connection.execute("SELECT 1")
          }
        }
      }
    }
  }
}
