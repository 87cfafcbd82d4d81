import Postgres
import TestKit
import Testing

@Suite(.timeLimit(.minutes(2)))
struct AdvisoryLockTests {
  @Test func oneSessionHoldsALockUntilItGivesItBack() async throws {
    try await withTwo { leader, follower, _ in
      try await #expect(leader.tryAdvisoryLock(42))
      try await #expect(!follower.tryAdvisoryLock(42))
      try await #expect(follower.tryAdvisoryLock(43))
      try await #expect(leader.advisoryUnlock(42))
      try await #expect(!leader.advisoryUnlock(42))
      try await #expect(follower.tryAdvisoryLock(42))
    }
  }

  @Test func aLeaderLearnsAtOnceThatItsSessionIsGone() async throws {
    try await withTwo { leader, follower, _ in
      try await #expect(leader.tryAdvisoryLock(42))
      async let broken: Void = leader.waitUntilBroken()
      let pid = await leader.backendPID
      try await follower.execute("SELECT pg_terminate_backend(\(pid), 10000)")
      try await broken
      #expect(await !leader.isAlive)
      try await #expect(follower.tryAdvisoryLock(42))
    }
  }

  @Test func waitingForTheEndEndsWithTheTaskAndWithClose() async throws {
    try await withTwo { leader, _, _ in
      let waiter = Task { try await leader.waitUntilBroken() }
      waiter.cancel()
      await #expect(throws: CancellationError.self) { try await waiter.value }
      #expect(await leader.isAlive)
      let other = Task { try await leader.waitUntilBroken() }
      await leader.close()
      try await other.value
      try await leader.waitUntilBroken()
    }
  }

  @Test func thePoolFreesTheLocksOfABorrower() async throws {
    try await withTwo { leader, _, db in
      try await db.pool.withConnection { try await #expect($0.tryAdvisoryLock(42)) }
      #expect(db.pool.usage.idle == 1)
      try await #expect(leader.tryAdvisoryLock(42))
    }
  }

  private func withTwo(
    _ body: (PostgresConnection, PostgresConnection, TestDatabase) async throws -> Void
  ) async throws {
    try await PostgresFixture.withDatabase { db in
      let leader = try await PostgresConnection.connect(db.conninfo)
      let follower = try await PostgresConnection.connect(db.conninfo)
      try await body(leader, follower, db)
      await leader.close()
      await follower.close()
    }
  }
}
