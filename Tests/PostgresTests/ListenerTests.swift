import TestKit
import Testing

@testable import Postgres

@Suite(.timeLimit(.minutes(2)))
struct ListenerTests {
  @Test func hearsWhatIsSentToItsChannels() async throws {
    try await PostgresFixture.withDatabase { db in
      let listener = PostgresListener(db.conninfo, channels: ["jobs", "Odd \"name\""])
      try await listening(listener) { events in
        #expect(await events.next() == .reconnected)
        try await db.pool.execute("SELECT pg_notify('elsewhere', 'x')")
        try await db.pool.execute("SELECT pg_notify('jobs', \("17 'quoted'"))")
        #expect(await events.next() == .notification(.init(channel: "jobs", payload: "17 'quoted'")))
        try await db.pool.execute("SELECT pg_notify(\("Odd \"name\""), '')")
        #expect(await events.next() == .notification(.init(channel: "Odd \"name\"", payload: "")))
      }
    }
  }

  @Test func comesBackAfterARestartAndSaysSo() async throws {
    try await PostgresFixture.withPrivateServer { server in
      let conninfo = server.conninfo(database: "postgres")
      let pool = PostgresPool(conninfo)
      try await listening(PostgresListener(conninfo, channels: ["jobs"])) { events in
        #expect(await events.next() == .reconnected)
        try await server.restart()
        #expect(await events.next() == .reconnected)
        try await pool.execute("SELECT pg_notify('jobs', 'after')")
        #expect(await events.next() == .notification(.init(channel: "jobs", payload: "after")))
        try await server.crash()
        try await server.resume()
        #expect(await events.next() == .reconnected)
      }
      await pool.close()
    }
  }

  @Test func givesUpOnWhatNoTryCanMend() async throws {
    try await PostgresFixture.withDatabase { db in
      let listener = PostgresListener(db.conninfo.replacing("dbname=", with: "dbname=no_"), channels: ["jobs"])
      let error = await #expect(throws: PostgresError.self) { try await listener.run() }
      #expect(error?.code == .undefinedDatabase)
      var events = listener.events.makeAsyncIterator()
      #expect(await events.next() == nil)
    }
  }

  @Test func aNotificationHeardDuringAStatementIsNotLost() async throws {
    try await PostgresFixture.withDatabase { db in
      let connection = try await PostgresConnection.connect(db.conninfo)
      let heard = Record<PostgresNotification>()
      try await connection.execute("LISTEN jobs")
      await connection.onNotification { heard.append($0) }
      try await connection.execute("SELECT pg_notify('jobs', 'own')")
      try await until { heard.all == [.init(channel: "jobs", payload: "own")] }
      await connection.close()
    }
  }

  @Test func equalEventsThatWaitAreOne() async {
    let buffer = NotificationBuffer(limit: 10)
    let first = PostgresListener.Event.notification(.init(channel: "a", payload: "1"))
    let second = PostgresListener.Event.notification(.init(channel: "a", payload: "2"))
    for event in [first, second, first, first] { buffer.push(event) }
    buffer.finish()
    #expect(await buffer.next() == first)
    #expect(await buffer.next() == second)
    #expect(await buffer.next() == nil)
  }

  @Test func aSlowConsumerIsToldThatItMissedSomething() async {
    let buffer = NotificationBuffer(limit: 3)
    for number in 1...5 { buffer.push(.notification(.init(channel: "a", payload: "\(number)"))) }
    buffer.finish()
    #expect(await buffer.next() == .overflowed)
    #expect(await buffer.next() == .notification(.init(channel: "a", payload: "5")))
    #expect(await buffer.next() == nil)
  }

  @Test func aCancelledConsumerEnds() async {
    let buffer = NotificationBuffer(limit: 3)
    let consumer = Task { await buffer.next() }
    consumer.cancel()
    #expect(await consumer.value == nil)
  }

  /// Runs a listener beside `body` and ends it afterwards.
  private func listening(
    _ listener: PostgresListener, _ body: (inout PostgresListener.Events.Iterator) async throws -> Void
  ) async throws {
    let running = Task { try await listener.run() }
    var events = listener.events.makeAsyncIterator()
    do {
      try await body(&events)
    } catch {
      running.cancel()
      throw error
    }
    running.cancel()
    await #expect(throws: CancellationError.self) { try await running.value }
    #expect(await events.next() == nil)
  }
}
