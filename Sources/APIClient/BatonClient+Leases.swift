public import Wire

extension BatonClient {
  /// `GET /health`: needs no token.
  public func health() async throws -> HealthView { try await answer(.get("health")) }

  /// The leases that are not over, or all of them.
  public func leases(all: Bool = false) async throws -> Listing<LeaseView> {
    try await answer(.get("leases", query: [("all", all ? "true" : nil)]))
  }

  /// Asks for a lease.
  public func createLease(_ request: LeaseRequest) async throws -> LeaseView {
    try await answer(.post("leases", json: request))
  }

  /// One lease, by name or id.
  public func lease(_ lease: String) async throws -> LeaseView { try await answer(.get("leases", lease)) }

  /// Moves a lease's end.
  public func extendLease(_ lease: String, _ request: LeaseExtension) async throws -> LeaseView {
    try await answer(.post("leases", lease, "extend", json: request))
  }

  /// Gives a lease back.
  public func deleteLease(_ lease: String) async throws -> LeaseView { try await answer(.delete("leases", lease)) }

  /// Plays a lease's end without giving its nodes back; the last value tells all that was found.
  public func drill(_ lease: String, _ request: DrillRequest = DrillRequest()) async throws -> EventStream<
    DrillProgress
  > {
    EventStream(chunks: try await stream(.post("leases", lease, "drill", json: request)), name: "drill")
  }

  /// All nodes.
  public func nodes() async throws -> Listing<NodeView> { try await answer(.get("nodes")) }

  /// One node, by name or id.
  public func node(_ node: String) async throws -> NodeView { try await answer(.get("nodes", node)) }

  /// Adds a node, and says how reaching it went.
  public func addNode(_ request: NodeRequest) async throws -> NodeCheck {
    try await answer(.post("nodes", json: request))
  }

  /// Takes a node out of the inventory.
  public func removeNode(_ node: String) async throws -> NodeView { try await answer(.delete("nodes", node)) }

  /// Tries each step of reaching a node.
  public func checkNode(_ node: String) async throws -> NodeCheck {
    try await answer(.post("nodes", node, "check", isRepeatable: true))
  }

  /// Keeps new attempts off a node.
  public func drainNode(_ node: String, reason: String?) async throws -> NodeView {
    try await answer(.post("nodes", node, "drain", query: [("reason", reason)], isRepeatable: true))
  }

  /// Lets new attempts on a node again.
  public func undrainNode(_ node: String) async throws -> NodeView {
    try await answer(.post("nodes", node, "undrain", isRepeatable: true))
  }
}
