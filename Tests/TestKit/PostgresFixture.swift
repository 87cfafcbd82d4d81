public import Postgres
import Synchronization

/// A fresh database for a test.
public struct TestDatabase: Sendable {
  /// Its name in the cluster.
  public let name: String
  /// A connection string for it.
  public let conninfo: String
  /// A pool of connections to it, closed when the test ends.
  public let pool: PostgresPool
}

/// Real PostgreSQL for tests: one private cluster per test process, started by the first test that needs it, gone with
/// the process however it ends; and one fresh database per test.
public enum PostgresFixture {
  private struct Shared {
    let server: PostgresServer
    /// Tests all start at once; a test with a database holds one of these connections, so that the rest wait in line
    /// and the cluster does not run out of connections.
    let turns: PostgresPool
  }

  /// Made once; all tests wait for the same start.
  private static let shared = Task {
    let server = try await PostgresServer.start()
    let limits = PostgresPool.Limits(connections: 16, acquireTimeout: .seconds(3600))
    return Shared(server: server, turns: PostgresPool(server.conninfo(database: "postgres"), limits: limits))
  }
  private static let nextNumber = Mutex(0)

  /// Lends a fresh, empty database to `body` and drops it afterwards, whoever is still connected.
  ///
  /// `template` names a database made by `makeTemplate` to start from instead.
  public static func withDatabase<Result>(
    template: String = "template1", limits: PostgresPool.Limits = .init(),
    _ body: (TestDatabase) async throws -> Result
  ) async throws -> Result {
    let shared = try await shared.value
    return try await shared.turns.withConnection { _ in
      try await withDatabase(on: shared.server, template: template, limits: limits, body)
    }
  }

  /// The same on a server of the caller's own.
  public static func withDatabase<Result>(
    on server: PostgresServer, template: String = "template1", limits: PostgresPool.Limits = .init(),
    _ body: (TestDatabase) async throws -> Result
  ) async throws -> Result {
    let number = nextNumber.withLock { number in
      number += 1
      return number
    }
    let name = "test_\(number)"
    let admin = administrator(of: server)
    try await admin.execute("CREATE DATABASE \(identifier: name) TEMPLATE \(identifier: template)")
    let conninfo = server.conninfo(database: name)
    let database = TestDatabase(name: name, conninfo: conninfo, pool: PostgresPool(conninfo, limits: limits))
    let outcome: Swift.Result<Result, any Error>
    do {
      outcome = .success(try await body(database))
    } catch {
      outcome = .failure(error)
    }
    await database.pool.close()
    // A cancelled test still drops its database.
    try await Task { _ = try await admin.execute("DROP DATABASE \(identifier: name) WITH (FORCE)") }.value
    await admin.close()
    return try outcome.get()
  }

  /// Makes a database that `withDatabase(template:)` copies, for set-up that many tests share, such as all migrations.
  ///
  /// Keep the returned name in a static so that it is made once.
  public static func makeTemplate(
    named name: String, _ setUp: (PostgresPool) async throws -> Void
  ) async throws -> String {
    let server = try await shared.value.server
    let admin = administrator(of: server)
    try await admin.execute("CREATE DATABASE \(identifier: name)")
    await admin.close()
    let pool = PostgresPool(server.conninfo(database: name))
    try await setUp(pool)
    await pool.close()
    return name
  }

  /// Lends a cluster of the test's own, which it may stop, crash and restart.
  public static func withPrivateServer<Result>(
    _ body: (PostgresServer) async throws -> Result
  ) async throws -> Result {
    let server = try await PostgresServer.start()
    let outcome: Swift.Result<Result, any Error>
    do {
      outcome = .success(try await body(server))
    } catch {
      outcome = .failure(error)
    }
    try await server.remove()
    return try outcome.get()
  }

  /// Databases are made and dropped with a generous time limit: the machine may be busy with many tests.
  private static func administrator(of server: PostgresServer) -> PostgresPool {
    let options = PostgresOptions(connectTimeout: .seconds(120), statementTimeout: .seconds(120))
    return PostgresPool(server.conninfo(database: "postgres"), options: options, limits: .init(connections: 1))
  }
}
