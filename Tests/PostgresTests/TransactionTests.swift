import Postgres
import TestKit
import Testing

private struct Changed: Error {}

@Suite(.timeLimit(.minutes(2)))
struct TransactionTests {
  @Test func commitsOnReturn() async throws {
    try await withItems { db in
      let value = try await db.pool.withTransaction { tx in
        try await tx.execute("INSERT INTO item VALUES (1)")
        return "done"
      }
      #expect(value == "done")
      try await #expect(count(db) == 1)
    }
  }

  @Test func rollsBackOnThrow() async throws {
    try await withItems { db in
      await #expect(throws: Changed.self) {
        try await db.pool.withTransaction { tx in
          try await tx.execute("INSERT INTO item VALUES (1)")
          throw Changed()
        }
      }
      try await #expect(count(db) == 0)
      #expect(db.pool.usage.lent == 0)
    }
  }

  @Test func rollsBackWhenItsTaskIsCancelled() async throws {
    try await withItems { db in
      let task = Task {
        try await db.pool.withTransaction { tx in
          try await tx.execute("INSERT INTO item VALUES (1)")
          try await tx.execute("SELECT pg_sleep(600)")
        }
      }
      try await untilRunning("pg_sleep(600)", seenBy: db.pool)
      task.cancel()
      await #expect(throws: CancellationError.self) { try await task.value }
      try await #expect(count(db) == 0)
      #expect(db.pool.usage.lent == 0)
    }
  }

  @Test func commitsWhatReturnedThoughItsTaskWasCancelled() async throws {
    try await withItems { db in
      let inserted = Gate()
      let cancelled = Gate()
      let task = Task {
        try await db.pool.withTransaction { tx in
          try await tx.execute("INSERT INTO item VALUES (1)")
          inserted.open()
          // Not cancellable by design: it must see the cancellation happen.
          await Task.detached { await cancelled.passed() }.value
        }
      }
      await inserted.passed()
      task.cancel()
      cancelled.open()
      try await task.value
      try await #expect(count(db) == 1)
    }
  }

  @Test func aSwallowedErrorDoesNotCommit() async throws {
    try await withItems { db in
      let error = await #expect(throws: PostgresError.self) {
        try await db.pool.withTransaction { tx in
          try await tx.execute("INSERT INTO item VALUES (1)")
          do {
            try await tx.execute("INSERT INTO nowhere VALUES (1)")
          } catch {}
        }
      }
      #expect(error?.code == .transactionAborted)
      try await #expect(count(db) == 0)
    }
  }

  @Test func refusesATransactionInsideATransaction() async throws {
    try await withItems { db in
      let nested = await #expect(throws: PostgresError.self) {
        try await db.pool.withTransaction { _ in
          try await db.pool.withTransaction { _ in }
        }
      }
      #expect(nested?.code == .misuse)
      try await db.pool.withConnection { connection in
        let sameConnection = await #expect(throws: PostgresError.self) {
          try await connection.withTransaction { _ in try await connection.withTransaction { _ in } }
        }
        #expect(sameConnection?.code == .misuse)
      }
      #expect(db.pool.usage.lent == 0)
    }
  }

  @Test func refusesATransactionThatLeftItsClosure() async throws {
    try await withItems { db in
      let kept = try await db.pool.withTransaction { $0 }
      let error = await #expect(throws: PostgresError.self) { try await kept.execute("INSERT INTO item VALUES (1)") }
      #expect(error?.code == .misuse)
      try await #expect(count(db) == 0)
    }
  }

  @Test func aTaskStartedInATransactionMayUseThePoolAfterIt() async throws {
    try await withItems { db in
      let gate = Gate()
      let later = try await db.pool.withTransaction { _ in
        Task {
          await gate.passed()
          try await db.pool.withTransaction { _ = try await $0.execute("INSERT INTO item VALUES (1)") }
        }
      }
      gate.open()
      try await later.value
      try await #expect(count(db) == 1)
    }
  }

  @Test func noticesACommitInsideTheClosure() async throws {
    try await withItems { db in
      let error = await #expect(throws: PostgresError.self) {
        try await db.pool.withTransaction { tx in
          try await tx.execute("INSERT INTO item VALUES (1)")
          try await tx.execute("COMMIT")
        }
      }
      #expect(error?.code == .misuse)
      #expect(error?.outcome == .unknown)
    }
  }

  @Test func runsAgainAfterASerializationFailureOnlyWhenAsked() async throws {
    try await withItems { db in
      try await db.pool.execute("INSERT INTO item VALUES (0)")
      let unasked = await #expect(throws: PostgresError.self) { try await collide(db, retries: 0) }
      #expect(unasked?.code == .serializationFailure)
      try await #expect(collide(db, retries: 3) == 2)
    }
  }

  @Test func sharesAFunctionBetweenPoolAndTransaction() async throws {
    try await withItems { db in
      try await insert(1, on: db.pool)
      try await db.pool.withTransaction { try await insert(2, on: $0) }
      try await #expect(count(db) == 2)
    }
  }

  @Test func refusesWritesInAReadOnlyTransaction() async throws {
    try await withItems { db in
      let error = await #expect(throws: PostgresError.self) {
        try await db.pool.withTransaction(readOnly: true) { try await insert(1, on: $0) }
      }
      #expect(error?.code == .readOnlyTransaction)
    }
  }

  /// Increments the only item in a transaction that another one overtakes in its first run; gives the number of runs.
  private func collide(_ db: TestDatabase, retries: Int) async throws -> Int {
    let runs = Record<Int>()
    try await db.pool.withTransaction(isolation: .repeatableRead, retries: retries) { tx in
      runs.append(1)
      try await tx.execute("SELECT id FROM item")
      if runs.all.count == 1 { try await db.pool.execute("UPDATE item SET id = id + 1") }
      try await tx.execute("UPDATE item SET id = id + 1")
    }
    return runs.all.count
  }

  private func insert(_ id: Int, on executor: some SQLExecutor) async throws {
    try await executor.execute("INSERT INTO item VALUES (\(id))")
  }

  private func count(_ db: TestDatabase) async throws -> Int {
    let row = try #require(try await db.pool.query("SELECT count(*) AS n FROM item").first)
    return try row.get("n", as: Int.self)
  }

  private func withItems(_ body: (TestDatabase) async throws -> Void) async throws {
    try await PostgresFixture.withDatabase { db in
      try await db.pool.execute("CREATE TABLE item (id int)")
      try await body(db)
    }
  }
}
