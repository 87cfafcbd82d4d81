public import Domain
import Postgres

extension Store {
  /// Makes every lease ACTIVE whose time has come, and gives those.
  public func activateDueLeases(by epoch: ControllerEpoch) async throws -> Guarded<[LeaseID]> {
    try await controlled(by: epoch) { transaction in
      let rows = try await transaction.query(
        """
        UPDATE lease SET state = 'ACTIVE' WHERE state = 'PENDING' AND period @> clock_timestamp()
        RETURNING id, project_id
        """)
      return .done(try await recordMoves(rows, "lease.activate", by: epoch, in: transaction))
    }
  }

  /// Makes every lease ENDING that has no more than `lead` left, and gives those: nothing new starts on them.
  public func markEndingLeases(lead: TimeSpan, by epoch: ControllerEpoch) async throws -> Guarded<[LeaseID]> {
    try await controlled(by: epoch) { transaction in
      let rows = try await transaction.query(
        """
        UPDATE lease SET state = 'ENDING'
        WHERE state = 'ACTIVE' AND upper(period) - make_interval(secs => \(lead.seconds)) <= clock_timestamp()
        RETURNING id, project_id
        """)
      return .done(try await recordMoves(rows, "lease.ending", by: epoch, in: transaction))
    }
  }

  private func recordMoves(
    _ rows: [Row], _ action: String, by epoch: ControllerEpoch, in transaction: PostgresTransaction
  ) async throws -> [LeaseID] {
    var leases: [LeaseID] = []
    for row in rows {
      let lease: LeaseID = try row.get("id")
      try await record(
        action, Subject(lease), project: row.get("project_id"), by: .controller(epoch), in: transaction)
      leases.append(lease)
    }
    return leases.sorted()
  }

  /// Ends every lease whose time has run out, with its attempts, one transaction a lease; gives what ended.
  ///
  /// An attempt ends with the lease's end, LEASE_ENDED, whenever this runs: its node was gone from then on.
  public func terminateDueLeases(by epoch: ControllerEpoch) async throws -> Guarded<[LeaseEnd]> {
    let due: [LeaseID] = try await pool.query(
      """
      SELECT id FROM lease
      WHERE state IN ('PENDING', 'ACTIVE', 'ENDING') AND upper(period) <= clock_timestamp() ORDER BY upper(period), id
      """
    ).map { try $0.get("id") }
    var ended: [LeaseEnd] = []
    for lease in due {
      let result = try await controlled(by: epoch) { transaction in
        let row = try await transaction.first(
          """
          UPDATE lease SET state = 'TERMINATED', terminated_at = clock_timestamp()
          WHERE id = \(lease) AND state IN ('PENDING', 'ACTIVE', 'ENDING') AND upper(period) <= clock_timestamp()
          RETURNING project_id
          """)
        // Extended, or ended by another hand, since it was looked for.
        guard let row else { return Guarded<LeaseEnd?>.done(nil) }
        let actor = Actor.controller(epoch)
        return .done(try await endAttempts(of: lease, project: row.get("project_id"), by: actor, in: transaction))
      }
      guard case .done(let end) = result else { return .stale }
      if let end { ended.append(end) }
    }
    return .done(ended)
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
      let ending = AttemptEnding(attempt: attempt, outcome: .leaseEnded, detail: "\(lease) ended")
      if case .done(let one) = try await finish(ending, by: actor, in: transaction) { ended.append(one) }
    }
    try await record(
      "lease.terminate", Subject(lease), project: project, by: actor, detail: ["attempts": "\(ended.count)"],
      in: transaction)
    return LeaseEnd(lease: lease, attempts: ended)
  }

  /// When a lease next begins, comes to `lead` before its end, or ends; in the past where that is due; nil for never.
  public func nextLeaseBoundary(lead: TimeSpan) async throws -> Timestamp? {
    try await pool.one(
      """
      SELECT min(CASE state
        WHEN 'PENDING' THEN lower(period)
        WHEN 'ACTIVE' THEN upper(period) - make_interval(secs => \(lead.seconds))
        ELSE upper(period) END) AS boundary
      FROM lease WHERE state IN ('PENDING', 'ACTIVE', 'ENDING')
      """
    ).get("boundary")
  }
}
