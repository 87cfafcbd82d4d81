public import Domain
public import Postgres

/// Where a copy of a data set stands.
public enum ReplicaState: String, Hashable, Sendable, CaseIterable, SQLBindable, SQLDecodable {
  /// On its way to the node.
  case staging = "STAGING"
  /// There, and what its manifest says.
  case verified = "VERIFIED"
  /// There, and not what its manifest says.
  case corrupt = "CORRUPT"
}

/// How often something was written down of a node's replicas: grows with each change.
public struct ReplicasRevision: RawRepresentable, Hashable, Sendable, SQLBindable, SQLDecodable {
  /// The number.
  public let rawValue: Int64

  /// The revision with this number.
  public init(rawValue: Int64) { self.rawValue = rawValue }
}

/// A copy of a data set version on a node.
public struct ReplicaRecord: Hashable, Sendable {
  /// Where.
  public var node: NodeID
  /// Where it stands.
  public var state: ReplicaState
  /// When it was last known to be what its manifest says; nil where it never was.
  public var verifiedAt: Timestamp?
}

extension Store {
  /// The copies of each version, by node.
  public func replicas(of versions: [DatasetVersionID]) async throws -> [DatasetVersionID: [ReplicaRecord]] {
    var found: [DatasetVersionID: [ReplicaRecord]] = [:]
    for row in try await pool.query(
      """
      SELECT dataset_version_id, node_id, state, verified_at FROM replica
      WHERE dataset_version_id = ANY (\(versions)::bigint[]) ORDER BY dataset_version_id, node_id
      """)
    {
      found[try row.get("dataset_version_id"), default: []].append(
        ReplicaRecord(
          node: try row.get("node_id"), state: try row.get("state"), verifiedAt: try row.get("verified_at")))
    }
    return found
  }

  /// Writes down where the copy of a version on a node stands; `verified` also says when.
  public func setReplica(
    node: NodeID, version: DatasetVersionID, state: ReplicaState, by epoch: ControllerEpoch
  ) async throws -> Guarded<NodeID> {
    try await changingReplicas(of: node, by: epoch) { transaction in
      try await transaction.execute(
        """
        INSERT INTO replica (node_id, dataset_version_id, state, verified_at)
        VALUES (\(node), \(version), \(state),
          CASE WHEN \(state)::text = 'VERIFIED' THEN clock_timestamp() END)
        ON CONFLICT (node_id, dataset_version_id) DO UPDATE
        SET state = excluded.state, verified_at = excluded.verified_at
        """)
      return .done(node)
    }
  }

  /// Forgets the copy of a version on a node: it was removed, or the disk was wiped.
  public func removeReplica(
    node: NodeID, version: DatasetVersionID, by epoch: ControllerEpoch
  ) async throws -> Guarded<NodeID> {
    try await changingReplicas(of: node, by: epoch) { transaction in
      let count = try await transaction.execute(
        "DELETE FROM replica WHERE node_id = \(node) AND dataset_version_id = \(version)")
      return count == 1 ? .done(node) : .stale
    }
  }

  /// Forgets the copies on a node of every version with this content, whosever they are; gives how many.
  public func removeReplicas(
    node: NodeID, contentID: String, by epoch: ControllerEpoch
  ) async throws -> Guarded<Int> {
    try await changingReplicas(of: node, by: epoch) { transaction in
      .done(
        try await transaction.execute(
          """
          DELETE FROM replica r USING dataset_version v
          WHERE r.node_id = \(node) AND v.id = r.dataset_version_id AND v.content_id = \(contentID)
          """))
    }
  }

  /// Writes down all that a node holds: content ids of whole copies that are verified, and of those that are not.
  ///
  /// What it does not hold is forgotten, and what it holds counts for every version with that content. A content that
  /// no version has is passed over. Gives the number of rows that were not so before; `.stale` where something was
  /// written down of the node's replicas since it had `revision`: the node was asked before, and may have changed.
  public func setHoldings(
    node: NodeID, verified: [String], unverified: [String], since revision: ReplicasRevision, by epoch: ControllerEpoch
  ) async throws -> Guarded<Int> {
    try await controlled(by: epoch) { transaction in
      let unchanged = try await transaction.first(
        "SELECT 1 AS same FROM node WHERE id = \(node) AND replicas_revision = \(revision) FOR UPDATE")
      guard unchanged != nil else { return .stale }
      let gone = try await transaction.execute(
        """
        DELETE FROM replica r USING dataset_version v
        WHERE r.node_id = \(node) AND v.id = r.dataset_version_id AND v.content_id <> ALL (\(verified + unverified)::text[])
        """)
      // A copy that was found damaged stays CORRUPT until it is whole.
      let changed = try await transaction.execute(
        """
        INSERT INTO replica AS r (node_id, dataset_version_id, state, verified_at)
        SELECT \(node), v.id, h.state, CASE WHEN h.state = 'VERIFIED' THEN clock_timestamp() END
        FROM (SELECT unnest(\(verified)::text[]) AS content_id, 'VERIFIED' AS state
          UNION SELECT unnest(\(unverified)::text[]), 'STAGING') h
        JOIN dataset_version v ON v.content_id = h.content_id
        ON CONFLICT (node_id, dataset_version_id) DO UPDATE
        SET state = excluded.state, verified_at = coalesce(excluded.verified_at, r.verified_at)
        WHERE r.state <> excluded.state AND NOT (r.state = 'CORRUPT' AND excluded.state = 'STAGING')
        """)
      return .done(gone + changed)
    }
  }

  /// Runs `body`, which changes what is known of the replicas on a node: what a probe finds meanwhile is stale.
  func changingReplicas<Value>(
    of node: NodeID, by epoch: ControllerEpoch, _ body: (PostgresTransaction) async throws -> Guarded<Value>
  ) async throws -> Guarded<Value> {
    try await controlled(by: epoch) { transaction in
      try await reviseReplicas(of: node, in: transaction)
      return try await body(transaction)
    }
  }

  /// Makes what a probe of the node is finding out stale.
  ///
  /// The node's row is written before its replicas, everywhere.
  func reviseReplicas(of node: NodeID, in transaction: PostgresTransaction) async throws {
    try await transaction.execute("UPDATE node SET replicas_revision = replicas_revision + 1 WHERE id = \(node)")
  }
}
