import Postgres
import Synchronization
import TestKit
import Testing

@Suite(.timeLimit(.minutes(3)))
struct RestartTests {
  @Test func theNextCallAfterARestartWorks() async throws {
    try await PostgresFixture.withPrivateServer { server in
      let pool = PostgresPool(server.conninfo(database: "postgres"))
      try await withThrowingTaskGroup(of: Void.self) { group in
        let full = Gate()
        for _ in 0..<8 { group.addTask { try await pool.withConnection { _ in await full.passed() } } }
        try await until { pool.usage.lent == 8 }
        full.open()
        try await group.waitForAll()
      }
      #expect(pool.usage.idle == 8)
      try await server.restart()
      try await #expect(pool.query("SELECT 1").count == 1)
      try await server.crash()
      try await server.resume()
      try await #expect(pool.withTransaction { try await $0.query("SELECT 1").count } == 1)
      await pool.close()
    }
  }

  @Test func waitsForAServerThatIsDown() async throws {
    try await PostgresFixture.withPrivateServer { server in
      let (failed, isUp) = (Gate(), Gate())
      let backoff = Backoff(
        random: { 0 },
        sleep: { _ in
          failed.open()
          await isUp.passed()
        })
      let pool = PostgresPool(server.conninfo(database: "postgres"), backoff: backoff)
      try await server.stop()
      async let answer = pool.query("SELECT 1")
      await failed.passed()
      try await server.resume()
      isUp.open()
      try await #expect(answer.count == 1)
      await pool.close()
    }
  }

  /// Every insertion is tried once.
  ///
  /// What was acknowledged is there once, what was refused is not there, and what is
  /// unknown is there at most once.
  @Test func nothingIsLostOrDoubledByARestartUnderLoad() async throws {
    try await PostgresFixture.withPrivateServer { server in
      let pool = PostgresPool(server.conninfo(database: "postgres"))
      try await pool.execute("CREATE TABLE hit (id bigint NOT NULL)")
      let load = Load()
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<24 { group.addTask { try await load.run(on: pool) } }
        for _ in 0..<2 {
          let before = load.acknowledged.count
          try await until { load.acknowledged.count >= before + 200 }
          try await server.restart()
        }
        let before = load.acknowledged.count
        try await until { load.acknowledged.count >= before + 200 }
        load.stop()
        try await group.waitForAll()
      }
      let rows = try await pool.query("SELECT id, count(*) AS n FROM hit GROUP BY id ORDER BY id")
      let stored = try Dictionary(
        uniqueKeysWithValues: rows.map { (try $0.get("id", as: Int.self), try $0.get("n", as: Int.self)) })
      #expect(load.acknowledged.allSatisfy { stored[$0] == 1 })
      #expect(load.unknown.allSatisfy { stored[$0] ?? 0 <= 1 })
      #expect(Set(stored.keys).subtracting(load.acknowledged).subtracting(load.unknown).isEmpty)
      await pool.close()
    }
  }
}

/// Inserts one number after the other and notes what became of each.
private final class Load: Sendable {
  private struct Notes {
    var next = 0
    var acknowledged: [Int] = []
    var unknown: [Int] = []
    var isStopped = false
  }

  private let notes = Mutex(Notes())

  var acknowledged: [Int] { notes.withLock { $0.acknowledged } }
  var unknown: [Int] { notes.withLock { $0.unknown } }

  func stop() {
    notes.withLock { $0.isStopped = true }
  }

  func run(on pool: PostgresPool) async throws {
    while let number = nextNumber() {
      do {
        try await pool.execute("INSERT INTO hit VALUES (\(number))")
        notes.withLock { $0.acknowledged.append(number) }
      } catch let error as PostgresError where error.code == .connectionLost {
        if error.outcome == .unknown { notes.withLock { $0.unknown.append(number) } }
      }
    }
  }

  private func nextNumber() -> Int? {
    notes.withLock { notes in
      guard !notes.isStopped else { return nil }
      notes.next += 1
      return notes.next
    }
  }
}
