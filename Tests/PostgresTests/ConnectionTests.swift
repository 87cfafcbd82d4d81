import Glibc
import Postgres
import TestKit
import Testing

@Suite(.timeLimit(.minutes(2)))
struct ConnectionTests {
  @Test func countsAffectedRows() async throws {
    try await PostgresFixture.withDatabase { db in
      try await #expect(db.pool.execute("CREATE TABLE item (id int)") == 0)
      try await #expect(db.pool.execute("INSERT INTO item SELECT generate_series(1, 5)") == 5)
      try await #expect(db.pool.execute("UPDATE item SET id = id + 10 WHERE id > \(3)") == 2)
      try await #expect(db.pool.execute("DELETE FROM item WHERE id = \(99)") == 0)
    }
  }

  @Test func appliesItsOptions() async throws {
    try await PostgresFixture.withDatabase { db in
      let options = PostgresOptions(
        applicationName: "baton test", searchPath: ["odd name", "with,comma"], serverStatementTimeout: .seconds(7),
        lockTimeout: .milliseconds(1500))
      let conninfo = db.conninfo + " options='-c work_mem=5MB'"
      let connection = try await PostgresConnection.connect(conninfo, options: options)
      let names = ["application_name", "search_path", "statement_timeout", "lock_timeout", "work_mem", "TimeZone"]
      let rows = try await connection.query(
        """
        SELECT name, current_setting(name) AS value
        FROM unnest(\(names)::text[]) WITH ORDINALITY n (name, i) ORDER BY i
        """
      )
      let values = try rows.map { try $0.get("value", as: String.self) }
      #expect(values == ["baton test", "\"odd name\",\"with,comma\"", "7s", "1500ms", "5MB", "UTC"])
      await connection.close()
    }
  }

  @Test func preparesAStatementOnceAndForgetsTheLeastRecentlyUsed() async throws {
    try await PostgresFixture.withDatabase { db in
      let options = PostgresOptions(preparedStatementLimit: 2)
      let connection = try await PostgresConnection.connect(db.conninfo, options: options)
      for _ in 0..<3 {
        try await connection.execute("SELECT \(1)::int")
      }
      try await connection.execute("SELECT \(1)::int + 1")
      try await connection.execute("SELECT \(1)::int")
      try await connection.execute("SELECT \(1)::int + 2")
      let list: SQL = "SELECT statement FROM pg_prepared_statements ORDER BY prepare_time"
      let texts = try await connection.query(list).map { try $0.get("statement", as: String.self) }
      #expect(texts == ["SELECT $1::int", "SELECT $1::int + 2", list.text])
      await connection.close()
    }
  }

  @Test func preparesAgainAfterTheSchemaChanged() async throws {
    try await PostgresFixture.withDatabase { db in
      try await db.pool.execute("CREATE TABLE item (id int)")
      try await db.pool.execute("INSERT INTO item VALUES (1)")
      try await db.pool.withConnection { connection in
        try await #expect(connection.query("SELECT * FROM item").first?.columnNames == ["id"])
        try await db.pool.execute("ALTER TABLE item ADD name text")
        try await #expect(connection.query("SELECT * FROM item").first?.columnNames == ["id", "name"])
      }
    }
  }

  @Test func aTransactionWithAStalePlanCanBeRunAgain() async throws {
    try await PostgresFixture.withDatabase(limits: .init(connections: 1)) { db in
      try await db.pool.execute("CREATE TABLE item (id int)")
      try await db.pool.execute("SELECT * FROM item")
      try await db.pool.execute("ALTER TABLE item ADD name text")
      let error = await #expect(throws: PostgresError.self) {
        try await db.pool.withTransaction { try await $0.query("SELECT * FROM item") }
      }
      #expect(error?.code == .stalePlan)
      try await db.pool.execute("SELECT * FROM item")
      try await db.pool.execute("ALTER TABLE item ADD age int")
      let runs = Record<Int>()
      try await db.pool.withTransaction(retries: 1) { tx in
        runs.append(1)
        try await tx.execute("SELECT * FROM item")
      }
      #expect(runs.all.count == 2)
    }
  }

  @Test func preparesAgainAfterADiscard() async throws {
    try await PostgresFixture.withDatabase { db in
      try await db.pool.withConnection { connection in
        try await connection.execute("SELECT \(1)::int")
        try await connection.executeScript("DEALLOCATE ALL")
        try await #expect(connection.query("SELECT \(1)::int").count == 1)
      }
    }
  }

  @Test func describesAStatementWithoutRunningIt() async throws {
    try await PostgresFixture.withDatabase { db in
      try await db.pool.execute("CREATE TABLE item (id bigint, name text)")
      try await db.pool.withConnection { connection in
        let description = try await connection.prepare(
          "INSERT INTO item (id, name) VALUES (\(1), \("a")) RETURNING id, name")
        #expect(description.parameterTypeOIDs == [20, 25])
        #expect(description.columns.map(\.name) == ["id", "name"])
        try await #expect(connection.query("SELECT * FROM item").isEmpty)
        let error = await #expect(throws: PostgresError.self) {
          try await connection.prepare("SELECT no_such_column FROM item")
        }
        #expect(error?.code == .undefinedColumn)
      }
    }
  }

  @Test func cancelsAStatementThatTakesTooLongAndGoesOn() async throws {
    try await PostgresFixture.withDatabase(limits: .init(connections: 1)) { db in
      try await db.pool.withConnection { connection in
        let pid = await connection.backendPID
        let error = await #expect(throws: PostgresError.self) {
          try await connection.execute("SELECT pg_sleep(600)", timeout: .milliseconds(50))
        }
        #expect(error?.code == .timeout)
        #expect(error?.outcome == .notExecuted)
        let row = try #require(try await connection.query("SELECT pg_backend_pid() AS pid").first)
        #expect(try row.get("pid", as: Int32.self) == pid)
      }
    }
  }

  @Test func closesAConnectionThatDoesNotEvenCancel() async throws {
    try await PostgresFixture.withDatabase { db in
      let options = PostgresOptions(cancelGrace: .milliseconds(50))
      let connection = try await PostgresConnection.connect(db.conninfo, options: options)
      let pid = await connection.backendPID
      // Prepared now: what gets stuck is to be the execution, whose outcome nobody knows.
      try await connection.execute("SELECT 1")
      try #require(kill(pid, SIGSTOP) == 0)
      let error = await #expect(throws: PostgresError.self) {
        try await connection.execute("SELECT 1", timeout: .milliseconds(50))
      }
      kill(pid, SIGCONT)
      #expect(error?.code == .timeout)
      #expect(error?.outcome == .unknown)
      #expect(await !connection.isAlive)
    }
  }

  @Test func stopsTheStatementOfACancelledTask() async throws {
    try await PostgresFixture.withDatabase { db in
      let sleeper = Task { try await db.pool.query("SELECT pg_sleep(600)") }
      try await untilRunning("pg_sleep(600)", seenBy: db.pool)
      sleeper.cancel()
      await #expect(throws: CancellationError.self) { try await sleeper.value }
      try await until {
        try await db.pool.query(
          """
          SELECT 1 FROM pg_stat_activity
          WHERE state = 'active' AND query = 'SELECT pg_sleep(600)' AND datname = current_database()
          """
        ).isEmpty
      }
    }
  }

  @Test func sendsNothingForATaskThatIsCancelledAlready() async throws {
    try await PostgresFixture.withDatabase { db in
      try await db.pool.execute("CREATE TABLE item (id int)")
      let connection = try await PostgresConnection.connect(db.conninfo)
      let gate = Gate()
      let task = Task {
        await gate.passed()
        try await connection.execute("INSERT INTO item VALUES (1)")
      }
      task.cancel()
      gate.open()
      await #expect(throws: CancellationError.self) { try await task.value }
      try await #expect(connection.query("SELECT * FROM item").isEmpty)
      await connection.close()
    }
  }

  @Test func runsAScriptAsOneTransactionAndNamesTheLineThatFailed() async throws {
    try await PostgresFixture.withDatabase { db in
      try await db.pool.withConnection { connection in
        try await connection.executeScript("CREATE TABLE a (id int); CREATE TABLE b (id int); INSERT INTO a VALUES (1)")
        try await #expect(connection.query("SELECT id FROM a").count == 1)
        let error = await #expect(throws: PostgresError.self) {
          try await connection.executeScript("CREATE TABLE c (id int);\nSELECT 1;\nSELECT nonsense FROM a;")
        }
        #expect(error?.code == .undefinedColumn)
        #expect(error?.line == 3)
        let missing = await #expect(throws: PostgresError.self) { try await connection.query("SELECT * FROM c") }
        #expect(missing?.code == .undefinedTable)
      }
    }
  }

  @Test func rollsBackWhatAScriptLeftOpen() async throws {
    try await PostgresFixture.withDatabase { db in
      try await db.pool.withConnection { connection in
        let error = await #expect(throws: PostgresError.self) {
          try await connection.executeScript("BEGIN; CREATE TABLE c (id int)")
        }
        #expect(error?.code == .misuse)
        await #expect(throws: PostgresError.self) { try await connection.query("SELECT * FROM c") }
      }
    }
  }

  @Test func refusesCopyAndEmptyStatements() async throws {
    try await PostgresFixture.withDatabase { db in
      try await db.pool.execute("CREATE TABLE item (id int)")
      let copy = await #expect(throws: PostgresError.self) { try await db.pool.execute("COPY item FROM STDIN") }
      #expect(copy?.code == .misuse)
      try await #expect(db.pool.execute("") == 0)
    }
  }

  @Test func saysWhyItCannotConnect() async throws {
    try await PostgresFixture.withDatabase { db in
      let missing = await #expect(throws: PostgresError.self) {
        try await PostgresConnection.connect(db.conninfo.replacing("dbname=", with: "dbname=no_"))
      }
      #expect(missing?.code == .undefinedDatabase)
      #expect(missing?.sqlState == "3D000")
      let role = await #expect(throws: PostgresError.self) {
        try await PostgresConnection.connect(db.conninfo + " user=nobody_here")
      }
      #expect(role?.code == .authenticationFailed)
      let refused = await #expect(throws: PostgresError.self) {
        try await PostgresConnection.connect("host=127.0.0.1 port=1 dbname=x password=hunter2")
      }
      #expect(refused?.code == .cannotConnect)
      #expect(refused?.description.contains("hunter2") == false)
      let nonsense = await #expect(throws: PostgresError.self) {
        try await PostgresConnection.connect("password hunter2")
      }
      #expect(nonsense?.code == .misuse)
      #expect(nonsense?.description.contains("hunter2") == false)
    }
  }

  @Test func refusesStatementsAfterClose() async throws {
    try await PostgresFixture.withDatabase { db in
      let connection = try await PostgresConnection.connect(db.conninfo)
      await connection.close()
      let error = await #expect(throws: PostgresError.self) { try await connection.query("SELECT 1") }
      #expect(error?.code == .connectionLost)
      #expect(error?.outcome == .notExecuted)
    }
  }

  @Test func manyTasksShareOneConnection() async throws {
    try await PostgresFixture.withDatabase { db in
      let connection = try await PostgresConnection.connect(db.conninfo)
      let sum = try await withThrowingTaskGroup(of: Int.self) { group in
        for number in 1...100 {
          group.addTask {
            try await connection.query("SELECT \(number)::int AS n").reduce(0) { try $0 + $1.get("n", as: Int.self) }
          }
        }
        return try await group.reduce(0, +)
      }
      #expect(sum == 5050)
      await connection.close()
    }
  }

  @Test func aLargeResultAndALargeParameterPass() async throws {
    try await PostgresFixture.withDatabase { db in
      let big = String(repeating: "0123456789abcdef", count: 1 << 18)
      let rows = try await db.pool.query("SELECT \(big)::text AS big, n FROM generate_series(1, 5) AS n ORDER BY n")
      #expect(rows.count == 5)
      #expect(try rows[4].get("big", as: String.self) == big)
    }
  }
}
