public import Domain
import Postgres

extension Store {
  /// Two that look for free nodes at once would find the same: one looks at a time.
  static let leaseCalendarLock: Int64 = 0x6261_746f_6e6c_7365

  /// Makes a lease; ACTIVE where it begins at once, else PENDING.
  ///
  /// Throws `.leaseInPast`, `.leaseEmpty`, `.noNodes`, `.notEnoughNodes`, `.leaseOverlap` with the first lease in the
  /// way, `.nameTaken`, `.badName`, and `.notFound` for a node that is not one. It changes nothing then.
  public func createLease(_ request: NewLease, by actor: Actor) async throws -> LeaseRecord {
    do {
      let id = try await named("lease", request.name) {
        try await transaction { try await insertLease(request, by: actor, in: $0) }
      }
      return try await lease(id)
    } catch let error as PostgresError where error.code == .exclusionViolation {
      // The constraint had the last word: somebody wrote past this module. Say who is in the way, if still so.
      let now = try await now()
      let start = request.start ?? now
      let period = Period(start: start, end: request.end.moment(after: start))
      if case .these(let nodes) = request.nodes, let period {
        try await refuseOverlap(of: nodes, period, except: nil, in: pool)
      }
      throw error
    }
  }

  private func insertLease(
    _ request: NewLease, by actor: Actor, in transaction: PostgresTransaction
  ) async throws -> LeaseID {
    try await transaction.execute("SELECT pg_advisory_xact_lock(\(Self.leaseCalendarLock))")
    let now: Timestamp = try await transaction.one("SELECT clock_timestamp() AS now").get("now")
    let start = request.start ?? now
    guard start >= now else { throw StoreError.leaseInPast(start: start, now: now) }
    let end = request.end.moment(after: start)
    guard let period = Period(start: start, end: end) else { throw StoreError.leaseEmpty(start: start, end: end) }
    let nodes = try await pickNodes(request.nodes, for: period, in: transaction)
    let state: LeaseState = start == now ? .active : .pending
    let id: LeaseID = try await transaction.one(
      """
      INSERT INTO lease (name, project_id, state, period)
      VALUES (\(request.name), \(request.project), \(state), tstzrange(\(period.start), \(period.end)))
      RETURNING id
      """
    ).get("id")
    try await transaction.execute(
      """
      INSERT INTO lease_node (lease_id, node_id, period)
      SELECT \(id), n.id, tstzrange(\(period.start), \(period.end)) FROM unnest(\(nodes)::bigint[]) AS n (id)
      """)
    try await record(
      "lease.create", Subject(id), project: request.project, by: actor,
      detail: ["name": request.name, "start": "\(period.start)", "end": "\(period.end)", "nodes": "\(nodes.count)"],
      in: transaction)
    return id
  }

  private func pickNodes(
    _ wanted: NewLease.Nodes, for period: Period, in transaction: PostgresTransaction
  ) async throws -> [NodeID] {
    switch wanted {
    case .these(let nodes):
      guard !nodes.isEmpty else { throw StoreError.noNodes }
      let known: [NodeID] = try await transaction.query(
        "SELECT id FROM node WHERE id = ANY (\(nodes)::bigint[]) ORDER BY id"
      ).map { try $0.get("id") }
      if let unknown = nodes.first(where: { !known.contains($0) }) {
        throw StoreError.notFound(kind: "node", name: "\(unknown)")
      }
      try await refuseOverlap(of: known, period, except: nil, in: transaction)
      return known
    case .any(let count, let type, let avoiding):
      guard count > 0 else { throw StoreError.noNodes }
      let free: [NodeID] = try await transaction.query(
        """
        SELECT n.id FROM node n
        WHERE NOT n.drained AND n.state <> 'DEAD' AND (\(type)::text IS NULL OR n.node_type = \(type)::text)
          AND NOT EXISTS (
            SELECT 1 FROM lease_node ln
            WHERE ln.node_id = n.id AND ln.released_at IS NULL
              AND ln.period && tstzrange(\(period.start), \(period.end)))
        ORDER BY n.state = 'ALIVE' DESC, n.id = ANY (\(avoiding.sorted())::bigint[]), n.id
        LIMIT \(count)
        """
      ).map { try $0.get("id") }
      guard free.count == count else { throw StoreError.notEnoughNodes(wanted: count, free: free.count) }
      return free
    }
  }

  private func refuseOverlap(
    of nodes: [NodeID], _ period: Period, except lease: LeaseID?, in executor: some SQLExecutor
  ) async throws {
    let row = try await executor.first(
      """
      SELECT ln.node_id, n.name AS node_name, l.id, l.name, lower(ln.period) AS starts_at, upper(ln.period) AS ends_at
      FROM lease_node ln JOIN lease l ON l.id = ln.lease_id JOIN node n ON n.id = ln.node_id
      WHERE ln.node_id = ANY (\(nodes)::bigint[]) AND ln.released_at IS NULL
        AND ln.period && tstzrange(\(period.start), \(period.end)) AND ln.lease_id IS DISTINCT FROM \(lease)::bigint
      ORDER BY lower(ln.period), ln.node_id LIMIT 1
      """)
    guard let row else { return }
    throw StoreError.leaseOverlap(
      node: try row.get("node_id"), nodeName: try row.get("node_name"), lease: try row.get("id"),
      leaseName: try row.get("name"), period: try row.period("starts_at", "ends_at"))
  }

  /// Leases of a project, or all, by start; those that are over only when asked for.
  public func leases(project: ProjectID? = nil, includingOver: Bool = false) async throws -> [LeaseRecord] {
    try await pool.query(
      """
      SELECT \(LeaseRecord.columns) FROM lease l
      WHERE (\(project)::bigint IS NULL OR l.project_id = \(project)::bigint)
        AND (\(includingOver)::boolean OR l.state NOT IN ('TERMINATED', 'ERROR'))
      ORDER BY lower(l.period), l.id
      """
    ).map(LeaseRecord.init)
  }

  /// Leases of a project, or all, by start: those that are not over, and of those that are the `newest` by start and what
  /// lies in `period`.
  public func leases(project: ProjectID? = nil, newest: Int, in period: Period) async throws -> [LeaseRecord] {
    try await pool.query(
      """
      SELECT \(LeaseRecord.columns) FROM lease l
      WHERE (\(project)::bigint IS NULL OR l.project_id = \(project)::bigint)
        AND (l.state NOT IN ('TERMINATED', 'ERROR') OR l.period && tstzrange(\(period.start), \(period.end))
          OR l.id IN (
            SELECT o.id FROM lease o
            WHERE o.state IN ('TERMINATED', 'ERROR') AND (\(project)::bigint IS NULL OR o.project_id = \(project)::bigint)
            ORDER BY lower(o.period) DESC, o.id DESC LIMIT \(newest)))
      ORDER BY lower(l.period), l.id
      """
    ).map(LeaseRecord.init)
  }

  /// One lease.
  ///
  /// Throws `.notFound`.
  public func lease(_ id: LeaseID) async throws -> LeaseRecord {
    guard let row = try await pool.first("SELECT \(LeaseRecord.columns) FROM lease l WHERE l.id = \(id)") else {
      throw StoreError.notFound(kind: "lease", name: "\(id)")
    }
    return try LeaseRecord(row: row)
  }

  /// The lease of a project that has this name and is not over; nil where there is none.
  public func lease(named name: String, project: ProjectID) async throws -> LeaseRecord? {
    try await pool.first(
      """
      SELECT \(LeaseRecord.columns) FROM lease l
      WHERE l.project_id = \(project) AND l.name = \(name) AND l.state NOT IN ('TERMINATED', 'ERROR')
      """
    ).map(LeaseRecord.init)
  }

  /// Moves the end of a lease to `end`, later than it is; one that was ENDING is ACTIVE again.
  ///
  /// Throws `.leaseOver`, also where its time has run out and nobody has said so yet, `.leaseNotExtended`,
  /// `.leaseOverlap` and `.notFound`.
  public func extendLease(_ id: LeaseID, to end: Timestamp, by actor: Actor) async throws -> LeaseRecord {
    try await transaction { transaction in
      try await transaction.execute("SELECT pg_advisory_xact_lock(\(Self.leaseCalendarLock))")
      let row = try await transaction.first(
        """
        SELECT \(LeaseRecord.columns), upper(l.period) <= clock_timestamp() AS is_over
        FROM lease l WHERE l.id = \(id) FOR UPDATE
        """)
      guard let row else { throw StoreError.notFound(kind: "lease", name: "\(id)") }
      let lease = try LeaseRecord(row: row)
      guard !lease.state.isFinal, try !row.get("is_over", as: Bool.self) else {
        throw StoreError.leaseOver(lease: id, state: lease.state)
      }
      guard let period = Period(start: lease.period.start, end: end), end > lease.period.end else {
        throw StoreError.leaseNotExtended(end: lease.period.end, wanted: end)
      }
      try await refuseOverlap(of: lease.nodes, period, except: id, in: transaction)
      try await transaction.execute(
        """
        UPDATE lease
        SET period = tstzrange(\(period.start), \(period.end)),
          state = CASE WHEN state = 'ENDING' THEN 'ACTIVE' ELSE state END
        WHERE id = \(id)
        """)
      try await record(
        "lease.extend", Subject(id), project: lease.project, by: actor,
        detail: ["from": "\(lease.period.end)", "to": "\(end)"], in: transaction)
    }
    return try await lease(id)
  }
}

extension NewLease.End {
  fileprivate func moment(after start: Timestamp) -> Timestamp {
    switch self {
    case .at(let moment): moment
    case .after(let length): start + length
    }
  }
}
