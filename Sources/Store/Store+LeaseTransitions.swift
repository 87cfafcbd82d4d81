public import Domain
import Postgres

/// What became of the leases that were due.
public struct LeaseMoves<Moved: Hashable & Sendable>: Hashable, Sendable {
  /// Those that moved, in the order in which they were due.
  public var moved: [Moved]
  /// Those that could not; each is as it was.
  public var failures: [LeaseFailure]

  init() {
    moved = []
    failures = []
  }
}

/// A lease that should have moved.
public struct LeaseFailure: Hashable, Sendable {
  /// Which.
  public var lease: LeaseID
  /// Why it could not.
  public var reason: String
}

extension Store {
  /// Makes every lease ACTIVE whose time has come, one transaction a lease: what is wrong with one stops no other.
  ///
  /// Throws only what concerns all of them.
  public func activateDueLeases(by epoch: ControllerEpoch) async throws -> Guarded<LeaseMoves<LeaseID>> {
    let due = try await leases(
      "SELECT id FROM lease WHERE state = 'PENDING' AND period @> clock_timestamp() ORDER BY lower(period), id")
    return try await moveEach(due, by: epoch) { lease, transaction in
      let row = try await transaction.first(
        """
        UPDATE lease SET state = 'ACTIVE' WHERE id = \(lease) AND state = 'PENDING' AND period @> clock_timestamp()
        RETURNING project_id
        """)
      guard let row else { return nil }
      try await record(
        "lease.activate", Subject(lease), project: row.get("project_id"), by: .controller(epoch), in: transaction)
      return lease
    }
  }

  /// Makes every lease ENDING that has no more than `lead` left, one transaction a lease: nothing new starts on them.
  ///
  /// Throws only what concerns all of them.
  public func markEndingLeases(
    lead: TimeSpan, by epoch: ControllerEpoch
  ) async throws -> Guarded<LeaseMoves<LeaseID>> {
    let isDue: SQL = """
      state = 'ACTIVE' AND upper(period) - make_interval(secs => \(lead.seconds)) <= clock_timestamp()
      """
    let due = try await leases("SELECT id FROM lease WHERE \(isDue) ORDER BY upper(period), id")
    return try await moveEach(due, by: epoch) { lease, transaction in
      let row = try await transaction.first(
        "UPDATE lease SET state = 'ENDING' WHERE id = \(lease) AND \(isDue) RETURNING project_id")
      guard let row else { return nil }
      try await record(
        "lease.ending", Subject(lease), project: row.get("project_id"), by: .controller(epoch), in: transaction)
      return lease
    }
  }

  /// Ends every lease whose time has run out, with its attempts, one transaction a lease.
  ///
  /// An attempt ends with the lease's end, LEASE_ENDED, whenever this runs: its node was gone from then on. Throws only
  /// what concerns all leases.
  public func terminateDueLeases(by epoch: ControllerEpoch) async throws -> Guarded<LeaseMoves<LeaseEnd>> {
    let isDue: SQL = "state IN ('PENDING', 'ACTIVE', 'ENDING') AND upper(period) <= clock_timestamp()"
    let due = try await leases("SELECT id FROM lease WHERE \(isDue) ORDER BY upper(period), id")
    return try await moveEach(due, by: epoch) { lease, transaction in
      let row = try await transaction.first(
        """
        UPDATE lease SET state = 'TERMINATED', terminated_at = clock_timestamp()
        WHERE id = \(lease) AND \(isDue)
        RETURNING project_id
        """)
      // Extended, or ended by another hand, since it was looked for.
      guard let row else { return nil }
      return try await endAttempts(
        of: lease, project: row.get("project_id"), by: .controller(epoch), in: transaction)
    }
  }

  private func leases(_ sql: SQL) async throws -> [LeaseID] {
    try await pool.query(sql).map { try $0.get("id") }
  }

  /// Moves each by itself; nil from `move` where it is not due any more.
  private func moveEach<Moved>(
    _ due: [LeaseID], by epoch: ControllerEpoch, _ move: (LeaseID, PostgresTransaction) async throws -> Moved?
  ) async throws -> Guarded<LeaseMoves<Moved>> {
    var moves = LeaseMoves<Moved>()
    if due.isEmpty { return try await controlled(by: epoch) { _ in .done(moves) } }
    for lease in due {
      do {
        let result = try await controlled(by: epoch) { Guarded<Moved?>.done(try await move(lease, $0)) }
        guard case .done(let moved) = result else { return .stale }
        if let moved { moves.moved.append(moved) }
      } catch  where !Self.concernsAll(error) {
        moves.failures.append(LeaseFailure(lease: lease, reason: "\(error)"))
      }
    }
    return .done(moves)
  }

  /// Gives a lease up: one that has not begun is just over, one that has ends now, with its attempts.
  ///
  /// `.stale` where it is over already. Throws nothing of its own.
  public func deleteLease(_ id: LeaseID, by actor: Actor) async throws -> Guarded<LeaseEnd> {
    try await transaction { transaction in
      // Locked by a statement of its own: the next one reads the clock before it would wait for the lock, and an
      // attempt that ends meanwhile would outlive the lease.
      try await transaction.execute("SELECT id FROM lease WHERE id = \(id) FOR UPDATE")
      let row = try await transaction.first(
        """
        UPDATE lease
        SET state = 'TERMINATED', terminated_at = clock_timestamp(),
          period = CASE WHEN lower(period) < clock_timestamp() AND clock_timestamp() < upper(period)
            THEN tstzrange(lower(period), clock_timestamp()) ELSE period END
        WHERE id = \(id) AND state IN ('PENDING', 'ACTIVE', 'ENDING')
        RETURNING project_id
        """)
      guard let row else { return .stale }
      return .done(try await endAttempts(of: id, project: row.get("project_id"), by: actor, in: transaction))
    }
  }

  private func endAttempts(
    of lease: LeaseID, project: ProjectID, by actor: Actor, in transaction: PostgresTransaction
  ) async throws -> LeaseEnd {
    let live: [AttemptID] = try await transaction.query(
      "SELECT id FROM attempt WHERE lease_id = \(lease) AND state <> 'ENDED' ORDER BY job_id"
    ).map { try $0.get("id") }
    var ended: [EndedAttempt] = []
    for attempt in live {
      let causes = [
        try await unstoredCheckpoint(of: attempt, in: transaction).map { "\($0)" },
        try await silence(in: attempt, transaction),
      ].compactMap { $0.map { "; \($0)" } }.joined()
      let ending = AttemptEnding(attempt: attempt, outcome: .leaseEnded, detail: "\(lease) ended" + causes)
      if case .done(let one) = try await finish(ending, by: actor, in: transaction) { ended.append(one) }
    }
    try await record(
      "lease.terminate", Subject(lease), project: project, by: actor, detail: ["attempts": "\(ended.count)"],
      in: transaction)
    return LeaseEnd(lease: lease, attempts: ended)
  }

  /// Which nodes of an attempt do not answer, in words; nil where all do.
  ///
  /// Who wonders why a run goes on from an older checkpoint finds it here.
  private func silence(in attempt: AttemptID, _ transaction: PostgresTransaction) async throws -> String? {
    let rows = try await transaction.query(
      """
      SELECT n.name, extract(epoch FROM clock_timestamp() - n.last_seen_at)::double precision AS silent
      FROM attempt_node x JOIN node n ON n.id = x.node_id
      WHERE x.attempt_id = \(attempt) AND n.state IN ('SUSPECT', 'DEAD') AND n.last_seen_at IS NOT NULL
      ORDER BY x.node_rank
      """)
    guard !rows.isEmpty else { return nil }
    let nodes = try rows.map { row in
      "node \(try row.get("name", as: String.self)) had not answered for \(try row.seconds("silent"))"
    }
    return nodes.joined(separator: ", ") + ": what was saved in that time may not be in the store"
  }

  /// When a lease next begins, comes to `lead` before its end, or ends; in the past where that is due; nil for never.
  ///
  /// Those in `but` are not looked at.
  public func nextLeaseBoundary(lead: TimeSpan, but: Set<LeaseID> = []) async throws -> Timestamp? {
    try await pool.one(
      """
      SELECT min(CASE state
        WHEN 'PENDING' THEN lower(period)
        WHEN 'ACTIVE' THEN upper(period) - make_interval(secs => \(lead.seconds))
        ELSE upper(period) END) AS boundary
      FROM lease
      WHERE state IN ('PENDING', 'ACTIVE', 'ENDING') AND id <> ALL (\(but.sorted())::bigint[])
      """
    ).get("boundary")
  }
}
