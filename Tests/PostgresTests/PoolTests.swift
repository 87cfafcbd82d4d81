import TestKit
import Testing

@testable import Postgres

@Suite(.timeLimit(.minutes(2)))
struct PoolTests {
  @Test func servesInTheOrderOfArrival() async throws {
    try await PostgresFixture.withDatabase(limits: .init(connections: 1)) { db in
      let order = Record<Int>()
      try await withThrowingTaskGroup(of: Void.self) { group in
        try await db.pool.withConnection { _ in
          for number in 1...10 {
            group.addTask { try await db.pool.withConnection { _ in order.append(number) } }
            try await until { db.pool.usage.waiting == number }
          }
          #expect(order.all.isEmpty)
        }
        try await group.waitForAll()
      }
      #expect(order.all == Array(1...10))
      #expect(db.pool.usage == .init(lent: 0, idle: 1, waiting: 0))
    }
  }

  @Test func opensNoMoreThanItsLimit() async throws {
    try await PostgresFixture.withDatabase(limits: .init(connections: 3)) { db in
      let pids = Record<Int32>()
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<50 {
          group.addTask {
            try await db.pool.withConnection { connection in
              #expect(db.pool.usage.lent <= 3)
              pids.append(await connection.backendPID)
            }
          }
        }
        try await group.waitForAll()
      }
      #expect(pids.all.count == 50)
      #expect(Set(pids.all).count <= 3)
    }
  }

  @Test func givesUpWaitingAfterItsTimeout() async throws {
    let limits = PostgresPool.Limits(connections: 1, acquireTimeout: .milliseconds(100))
    try await PostgresFixture.withDatabase(limits: limits) { db in
      try await db.pool.withConnection { _ in
        let error = await #expect(throws: PostgresError.self) { try await db.pool.query("SELECT 1") }
        #expect(error?.code == .poolTimeout)
      }
      #expect(db.pool.usage.waiting == 0)
      #expect(db.pool.usage.lent == 0)
    }
  }

  @Test func aCancelledWaiterLeavesTheLine() async throws {
    try await PostgresFixture.withDatabase(limits: .init(connections: 1)) { db in
      try await db.pool.withConnection { _ in
        let waiter = Task { try await db.pool.query("SELECT 1") }
        try await until { db.pool.usage.waiting == 1 }
        waiter.cancel()
        await #expect(throws: CancellationError.self) { try await waiter.value }
        #expect(db.pool.usage.waiting == 0)
      }
      try await #expect(db.pool.query("SELECT 1").count == 1)
    }
  }

  @Test func throwsAwayAConnectionThatComesBackInATransaction() async throws {
    try await PostgresFixture.withDatabase(limits: .init(connections: 1)) { db in
      try await db.pool.withConnection { connection in
        try await connection.executeScript("CREATE TABLE item (id int)")
        try await connection.execute("BEGIN")
        try await connection.execute("INSERT INTO item VALUES (1)")
      }
      #expect(db.pool.usage.idle == 0)
      try await #expect(db.pool.query("SELECT * FROM item").isEmpty)
    }
  }

  @Test func replacesAnIdleConnectionThatWasTerminated() async throws {
    try await PostgresFixture.withDatabase { db in
      let admin = try await PostgresConnection.connect(db.conninfo)
      let pid = try await db.pool.withConnection { await $0.backendPID }
      try await admin.execute("SELECT pg_terminate_backend(\(pid), 10000)")
      let row = try #require(try await db.pool.query("SELECT pg_backend_pid() AS pid").first)
      #expect(try row.get("pid", as: Int32.self) != pid)
      await admin.close()
    }
  }

  @Test func tellsThatTheOutcomeIsUnknownWhenAConnectionBreaksMidway() async throws {
    try await PostgresFixture.withDatabase { db in
      let victim = Task { try await db.pool.query("SELECT pg_sleep(600)") }
      try await untilRunning("pg_sleep(600)", seenBy: db.pool)
      try await db.pool.execute(
        """
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE query = 'SELECT pg_sleep(600)' AND datname = current_database()
        """)
      let error = await #expect(throws: PostgresError.self) { try await victim.value }
      #expect(error?.code == .connectionLost)
      #expect(error?.outcome == .unknown)
      #expect(error?.sqlState == "57P01")
      #expect(error?.description.contains("may or may not have taken effect") == true)
    }
  }

  @Test func refusesEverybodyOnceClosed() async throws {
    try await PostgresFixture.withDatabase(limits: .init(connections: 1)) { db in
      try await db.pool.withConnection { connection in
        let waiter = Task { try await db.pool.query("SELECT 1") }
        try await until { db.pool.usage.waiting == 1 }
        await db.pool.close()
        let error = await #expect(throws: PostgresError.self) { try await waiter.value }
        #expect(error?.code == .closed)
        try await #expect(connection.query("SELECT 1").count == 1)
      }
      let error = await #expect(throws: PostgresError.self) { try await db.pool.query("SELECT 1") }
      #expect(error?.code == .closed)
      #expect(db.pool.usage == .init(lent: 0, idle: 0, waiting: 0))
    }
  }

  @Test func doesNotTryAgainWhereNoTryCanHelp() async throws {
    try await PostgresFixture.withDatabase { db in
      let backoff = Backoff(random: { 0 }, sleep: { _ in Issue.record("waited to try again") })
      let pool = PostgresPool(db.conninfo.replacing("dbname=", with: "dbname=no_"), backoff: backoff)
      let error = await #expect(throws: PostgresError.self) { try await pool.query("SELECT 1") }
      #expect(error?.code == .undefinedDatabase)
      #expect(pool.usage.lent == 0)
    }
  }

  @Test func backoffDoublesUpToItsLimit() {
    let longest = Backoff(first: .milliseconds(100), limit: .seconds(1), random: { 1 })
    #expect(
      (1...6).map { longest.delay(afterFailures: $0) } == [100, 200, 400, 800, 1000, 1000].map { .milliseconds($0) })
    let shortest = Backoff(first: .milliseconds(100), limit: .seconds(1), random: { 0 })
    #expect(shortest.delay(afterFailures: 1_000_000) == .milliseconds(500))
  }
}
