import Postgres
import Synchronization

/// A door that opens once; those who come before wait.
final class Gate: Sendable {
  private let stream: AsyncStream<Void>
  private let continuation: AsyncStream<Void>.Continuation

  init() {
    (stream, continuation) = AsyncStream.makeStream()
  }

  func open() {
    continuation.finish()
  }

  func passed() async {
    for await _ in stream {}
  }
}

/// A list that several tasks append to.
final class Record<Element: Sendable>: Sendable {
  private let list = Mutex<[Element]>([])

  var all: [Element] { list.withLock { $0 } }

  func append(_ element: Element) {
    list.withLock { $0.append(element) }
  }
}

/// Looks again until the condition holds, letting others run in between; the time limit of the suite ends it.
func until(_ condition: () async throws -> Bool) async throws {
  while try await !condition() {
    try Task.checkCancellation()
    await Task.yield()
  }
}

/// Waits until a session with the pool's database is in the middle of a statement whose text contains `fragment`.
func untilRunning(_ fragment: String, seenBy pool: PostgresPool, state: String = "active") async throws {
  try await until {
    let rows = try await pool.query(
      """
      SELECT pid FROM pg_stat_activity
      WHERE state = \(state) AND query LIKE '%' || \(fragment) || '%' AND pid <> pg_backend_pid()
        AND datname = current_database()
      """)
    return !rows.isEmpty
  }
}
