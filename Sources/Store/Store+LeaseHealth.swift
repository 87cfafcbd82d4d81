public import Domain
import Postgres

/// A lease whose flag `degraded` has changed.
public struct LeaseHealth: Hashable, Sendable {
  /// Which.
  public var lease: LeaseID
  /// Whether a node of it is not what was promised, from now on.
  public var isDegraded: Bool
}

extension Store {
  /// Sets the flag `degraded` of leases in use that have a node which does not answer any more, and takes it away where
  /// all answer again; gives those that changed.
  ///
  /// A node that never answered yet degrades nothing until a probe gave it up.
  public func judgeLeases(by epoch: ControllerEpoch) async throws -> Guarded<[LeaseHealth]> {
    try await controlled(by: epoch) { transaction in
      let rows = try await transaction.query(
        """
        UPDATE lease l SET degraded = f.is_degraded
        FROM (
          SELECT o.id, EXISTS (
            SELECT 1 FROM lease_node ln JOIN node n ON n.id = ln.node_id
            WHERE ln.lease_id = o.id AND ln.released_at IS NULL
              AND (n.state IN ('SUSPECT', 'DEAD') OR (n.state = 'ABSENT' AND n.last_seen_at IS NOT NULL))
          ) AS is_degraded
          FROM lease o WHERE o.state IN ('ACTIVE', 'ENDING')) f
        WHERE l.id = f.id AND l.state IN ('ACTIVE', 'ENDING') AND l.degraded <> f.is_degraded
        RETURNING l.id, l.project_id, l.degraded
        """)
      var changed: [LeaseHealth] = []
      for row in rows {
        let health = LeaseHealth(lease: try row.get("id"), isDegraded: try row.get("degraded"))
        try await record(
          health.isDegraded ? "lease.degraded" : "lease.whole", Subject(health.lease), project: row.get("project_id"),
          by: .controller(epoch), in: transaction)
        changed.append(health)
      }
      return .done(changed.sorted { $0.lease < $1.lease })
    }
  }
}
