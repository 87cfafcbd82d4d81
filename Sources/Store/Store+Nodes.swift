public import Domain
import Postgres

extension Store {
  private static let nodeColumns: SQL = """
    id, name, address, port, ssh_user, host_key, root_path, node_type, state, drained, drain_reason, disk_total,
    disk_free, cores, memory_bytes, facts, agent_version, last_seen_at, added_at, replicas_revision
    """

  /// Adds a machine; it is ABSENT until a probe finds it.
  ///
  /// Throws `.nameTaken`, `.badName`.
  public func addNode(_ request: NewNode, by actor: Actor) async throws -> NodeRecord {
    let id: NodeID = try await named("node", request.name) {
      try await transaction { transaction in
        let id: NodeID = try await transaction.one(
          """
          INSERT INTO node (name, address, port, ssh_user, host_key, root_path, node_type)
          VALUES (\(request.name), \(request.address), \(request.port), \(request.sshUser), \(request.hostKey),
            \(request.rootPath), \(request.nodeType))
          RETURNING id
          """
        ).get("id")
        try await record("node.add", Subject(id), by: actor, detail: ["name": request.name], in: transaction)
        return id
      }
    }
    return try await node(id)
  }

  /// Every node, by name.
  public func nodes() async throws -> [NodeRecord] {
    var gpus: [NodeID: [GPURecord]] = [:]
    for row in try await pool.query(
      "SELECT node_id, gpu_index, model, memory_bytes, uuid, is_stand_in FROM gpu ORDER BY node_id, gpu_index")
    {
      gpus[try row.get("node_id"), default: []].append(try GPURecord(row: row))
    }
    return try await pool.query("SELECT \(Self.nodeColumns) FROM node ORDER BY name").map { row in
      try NodeRecord(row: row, gpus: gpus[try row.get("id")] ?? [])
    }
  }

  /// One node.
  ///
  /// Throws `.notFound`.
  public func node(_ id: NodeID) async throws -> NodeRecord {
    guard let row = try await pool.first("SELECT \(Self.nodeColumns) FROM node WHERE id = \(id)") else {
      throw StoreError.notFound(kind: "node", name: "\(id)")
    }
    let gpus = try await pool.query(
      """
      SELECT gpu_index, model, memory_bytes, uuid, is_stand_in FROM gpu WHERE node_id = \(id) ORDER BY gpu_index
      """
    ).map(GPURecord.init)
    return try NodeRecord(row: row, gpus: gpus)
  }

  /// The node of this name, nil where there is none.
  public func node(named name: String) async throws -> NodeID? {
    try await pool.first("SELECT id FROM node WHERE name = \(name)")?.get("id")
  }

  /// Writes down what a probe found, and that the node is ALIVE: any answer makes it so.
  public func updateNode(_ node: NodeID, facts: NodeFacts, by epoch: ControllerEpoch) async throws -> Guarded<NodeID> {
    try await controlled(by: epoch) { transaction in
      let count = try await transaction.execute(
        """
        UPDATE node
        SET state = 'ALIVE', disk_total = \(facts.diskTotal), disk_free = \(facts.diskFree), cores = \(facts.cores),
          memory_bytes = \(facts.memory), facts = \(JSON.text(facts.other)), agent_version = \(facts.agentVersion),
          last_seen_at = clock_timestamp()
        WHERE id = \(node)
        """)
      guard count == 1 else { return .stale }
      try await replaceGPUs(of: node, with: facts.gpus, in: transaction)
      return .done(node)
    }
  }

  private func replaceGPUs(of node: NodeID, with gpus: [GPURecord], in transaction: PostgresTransaction) async throws {
    try await transaction.execute(
      "DELETE FROM gpu WHERE node_id = \(node) AND gpu_index <> ALL (\(gpus.map(\.index))::integer[])")
    try await transaction.execute(
      """
      INSERT INTO gpu (node_id, gpu_index, model, memory_bytes, uuid, is_stand_in)
      SELECT \(node), g.gpu_index, g.model, g.memory_bytes, g.uuid, g.is_stand_in
      FROM unnest(\(gpus.map(\.index))::integer[], \(gpus.map(\.model))::text[],
        \(gpus.map(\.memory.bytes))::bigint[], \(gpus.map(\.uuid))::text[],
        \(gpus.map { $0.isStandIn ? "t" : "f" })::boolean[]) AS g (gpu_index, model, memory_bytes, uuid, is_stand_in)
      ON CONFLICT (node_id, gpu_index) DO UPDATE
      SET model = excluded.model, memory_bytes = excluded.memory_bytes, uuid = excluded.uuid,
        is_stand_in = excluded.is_stand_in
      """)
  }

  /// Writes down how much of the node's disk whoever staged on it found free, which counts until the next probe.
  ///
  /// `.stale` where there is no such node, or the turn is another's.
  public func setDiskFree(_ node: NodeID, _ free: ByteCount, by epoch: ControllerEpoch) async throws -> Guarded<NodeID>
  {
    try await controlled(by: epoch) { transaction in
      let count = try await transaction.execute("UPDATE node SET disk_free = \(free) WHERE id = \(node)")
      return count == 1 ? .done(node) : .stale
    }
  }

  /// Moves the node to `state` if that can follow the one it is in; `.stale` where it cannot.
  ///
  /// Silence alone never ends anything on the node.
  public func setNodeState(_ node: NodeID, to state: NodeState, by epoch: ControllerEpoch) async throws -> Guarded<
    NodeID
  > {
    try await controlled(by: epoch) { transaction in
      let count = try await transaction.execute(
        """
        UPDATE node SET state = \(state) WHERE id = \(node) AND state = ANY (\(state.predecessorNames)::text[])
        """)
      guard count == 1 else { return .stale }
      try await record("node.\(state.rawValue.lowercased())", Subject(node), by: .controller(epoch), in: transaction)
      return .done(node)
    }
  }

  /// Keeps new attempts off the node; what runs on it goes on.
  ///
  /// `.stale` where it is drained already.
  public func drainNode(_ node: NodeID, reason: String, by actor: Actor) async throws -> Guarded<NodeID> {
    try await transaction { transaction in
      let count = try await transaction.execute(
        "UPDATE node SET drained = true, drain_reason = \(reason) WHERE id = \(node) AND NOT drained")
      guard count == 1 else { return .stale }
      try await record("node.drain", Subject(node), by: actor, detail: ["reason": reason], in: transaction)
      return .done(node)
    }
  }

  /// Lets attempts onto the node again; `.stale` where it is not drained.
  public func undrainNode(_ node: NodeID, by actor: Actor) async throws -> Guarded<NodeID> {
    try await transaction { transaction in
      let count = try await transaction.execute(
        "UPDATE node SET drained = false, drain_reason = NULL WHERE id = \(node) AND drained")
      guard count == 1 else { return .stale }
      try await record("node.undrain", Subject(node), by: actor, in: transaction)
      return .done(node)
    }
  }

  /// Forgets a node that was never leased and never used.
  ///
  /// Throws `.nodeInUse` for any other: its history belongs to runs; and `.notFound`.
  public func removeNode(_ node: NodeID, by actor: Actor) async throws {
    do {
      try await transaction { transaction in
        let count = try await transaction.execute("DELETE FROM node WHERE id = \(node)")
        guard count == 1 else { throw StoreError.notFound(kind: "node", name: "\(node)") }
        try await record("node.remove", Subject(node), by: actor, in: transaction)
      }
    } catch let error as PostgresError where error.code == .foreignKeyViolation {
      throw StoreError.nodeInUse(node: node)
    }
  }
}
