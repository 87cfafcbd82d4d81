import Domain
import Foundation
import Glibc
import Postgres
import TestKit
import Testing

@testable import Lab

@Suite struct WardenTests {
  @Test(.timeLimit(.minutes(3))) func takesAwayTheNodesOfLeasesThatEndAndNoOthers() async throws {
    try await LabFixture.with(nodes: 4) { lab in
      let calendar = try await Calendar(lab)
      try await calendar.lease("ending", ["n1"], from: "-1 hour", to: "3 seconds")
      try await calendar.lease("long", ["n2", "n3"], from: "-1 hour", to: "1 hour")
      try await calendar.lease("cancelled", ["n4"], from: "1 hour", to: "2 hours")
      try await calendar.lease("ancient", ["n4"], from: "-2 hours", to: "-1 hour")
      for node in try lab.nodes { #expect(try await node.ssh("echo x >$BATON_NODE_ROOT/data").status == 0) }

      try await withWarden(lab) {
        try await untilEmpty(lab.node("n1"))
        #expect(try holdsData(lab.node("n2")) && holdsData(lab.node("n3")) && holdsData(lab.node("n4")))
        // Whoever gets the node next keeps it: the end of the lease before is done with.
        try await calendar.lease("next", ["n1"], from: "0 seconds", to: "1 hour")
        #expect(try await lab.node("n1").ssh("echo x >$BATON_NODE_ROOT/data").status == 0)

        try await calendar.terminate("cancelled")
        try await calendar.terminate("long")
        try await untilEmpty(lab.node("n2"))
        try await untilEmpty(lab.node("n3"))
        #expect(try holdsData(lab.node("n1")) && holdsData(lab.node("n4")))
        #expect(try await lab.node("n2").ssh("true").status == 0)
      }
      try await calendar.close()
    }
  }

  @Test(.timeLimit(.minutes(3))) func catchesUpOnceAfterItWasAway() async throws {
    try await LabFixture.with(nodes: 2) { lab in
      let calendar = try await Calendar(lab)
      for node in try lab.nodes { #expect(try await node.ssh("echo x >$BATON_NODE_ROOT/data").status == 0) }
      try await calendar.lease("missed", ["n1"], from: "-1 hour", to: "10 milliseconds")
      try await calendar.untilEnd(of: "missed")
      #expect(try await LabWarden(lab).findDue(calendar.pool).due.map(\.node) == ["n1"])
      try await withWarden(lab) { try await untilEmpty(lab.node("n1")) }
      #expect(try await LabWarden(lab).findDue(calendar.pool).due.isEmpty)

      // A database that was away is found again.
      try await withWarden(lab) {
        #expect(try await lab.node("n1").ssh("echo x >$BATON_NODE_ROOT/data").status == 0)
        try await lab.postgres.crash()
        try await lab.postgres.start()
        try await calendar.lease("after", ["n1"], from: "0 seconds", to: "10 milliseconds")
        try await untilEmpty(lab.node("n1"))
      }

      // Another warden, as after a restart, has nothing to do for that lease and waits for the next.
      let booted = try lab.file.read().nodes[0].process
      try await calendar.lease("second", ["n2"], from: "-1 hour", to: "10 milliseconds")
      try await withWarden(lab) { try await untilEmpty(lab.node("n2")) }
      #expect(try lab.file.read().nodes[0].process == booted)
      try await calendar.close()
    }
  }

  /// Runs a warden as long as `body` runs.
  private func withWarden(_ lab: Lab, _ body: () async throws -> Void) async throws {
    let warden = Task { try await LabWarden(lab).run(log: { _ in }) }
    do {
      try await body()
    } catch {
      warden.cancel()
      throw error
    }
    warden.cancel()
    await #expect(throws: CancellationError.self) { try await warden.value }
  }

  /// Returns when the node was wiped and all the work of doing so is written down.
  private func untilEmpty(_ node: LabNode) async throws {
    let before = try lab(of: node).cleanSince()[node.name]
    // The last that a warden does for a node it writes into the lab's record.
    try await FileChanges.until(in: [node.file.layout.root]) {
      try !holdsData(node) && (lab(of: node).cleanSince()[node.name] != before || node.state == .running)
    }
    try await node.exclusively {}
  }

  private func lab(of node: LabNode) -> Lab { Lab(root: node.file.layout.root) }

  private func holdsData(_ node: LabNode) -> Bool { Files.exists("\(node.layout.disk)/data") }
}

/// Leases in a lab's database, under the real schema.
private struct Calendar {
  let pool: PostgresPool

  init(_ lab: Lab) async throws {
    let connection = try await PostgresConnection.connect(lab.postgres.conninfo)
    let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../migrations").path()
    for name in try Files.names(in: folder).filter({ $0.hasSuffix(".sql") }).sorted() {
      try await connection.executeScript(try #require(Files.text("\(folder)/\(name)")))
    }
    try await connection.execute("INSERT INTO project (name) VALUES ('lab')")
    for node in try lab.description.nodes {
      try await connection.execute(
        """
        INSERT INTO node (name, address, port, ssh_user, host_key, root_path, node_type)
        VALUES (\(node.name), \(node.address), \(node.port), \(node.user), \(node.hostPublicKey), \(node.rootPath), 'lab')
        """)
    }
    await connection.close()
    pool = PostgresPool(try lab.postgres.conninfo)
  }

  /// Makes a lease; its ends are intervals from now.
  func lease(_ name: String, _ nodes: [String], from start: String, to end: String) async throws {
    try await pool.withTransaction { transaction in
      try await transaction.execute(
        """
        INSERT INTO lease (name, project_id, state, period)
        SELECT \(name), id, 'ACTIVE', tstzrange(now() + \(start)::interval, now() + \(end)::interval) FROM project
        """)
      for node in nodes {
        try await transaction.execute(
          """
          INSERT INTO lease_node (lease_id, node_id)
          SELECT l.id, n.id FROM lease l, node n WHERE l.name = \(name) AND n.name = \(node)
          """)
      }
    }
  }

  /// Returns when the lease has ended, by the clock that decides that.
  func untilEnd(of name: String) async throws {
    _ = try await pool.query("SELECT pg_sleep_until(upper(period)) FROM lease WHERE name = \(name)")
  }

  func terminate(_ name: String) async throws {
    try await pool.execute(
      "UPDATE lease SET state = 'TERMINATED', terminated_at = clock_timestamp() WHERE name = \(name)")
  }

  func close() async throws { await pool.close() }
}
