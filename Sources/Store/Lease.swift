public import Domain
import Postgres

/// A lease that somebody wants.
public struct NewLease: Hashable, Sendable {
  /// When it ends.
  public enum End: Hashable, Sendable {
    /// At this moment.
    case at(Timestamp)
    /// So long after its start.
    case after(TimeSpan)
  }

  /// On which nodes.
  public enum Nodes: Hashable, Sendable {
    /// On these.
    case these([NodeID])
    /// On any that are free for the whole time: so many, of this type where there is one, those in `avoiding` last.
    case any(count: Int, type: String? = nil, avoiding: Set<NodeID> = [])
  }

  /// Unique in the project while the lease is not over.
  public var name: String
  /// For whom.
  public var project: ProjectID
  /// When it begins; nil is at once, by the database's clock.
  public var start: Timestamp?
  /// When it ends.
  public var end: End
  /// On which nodes.
  public var nodes: Nodes

  /// A lease.
  public init(name: String, project: ProjectID, start: Timestamp? = nil, end: End, nodes: Nodes) {
    self.name = name
    self.project = project
    self.start = start
    self.end = end
    self.nodes = nodes
  }
}

/// A set of nodes for a while.
public struct LeaseRecord: Hashable, Sendable {
  /// Which.
  public var id: LeaseID
  /// Its name.
  public var name: String
  /// Whose.
  public var project: ProjectID
  /// Where it stands.
  public var state: LeaseState
  /// A node of it is not what was promised.
  public var isDegraded: Bool
  /// From when to when.
  public var period: Period
  /// Its nodes, by number.
  public var nodes: [NodeID]
  /// When it was made.
  public var createdAt: Timestamp
  /// When it was over; nil while it is not.
  public var terminatedAt: Timestamp?

  static let columns: SQL = """
    l.id, l.name, l.project_id, l.state, l.degraded, lower(l.period) AS starts_at, upper(l.period) AS ends_at,
    l.created_at, l.terminated_at,
    ARRAY(SELECT n.node_id FROM lease_node n WHERE n.lease_id = l.id ORDER BY n.node_id) AS nodes
    """

  init(row: Row) throws {
    id = try row.get("id")
    name = try row.get("name")
    project = try row.get("project_id")
    state = try row.get("state")
    isDegraded = try row.get("degraded")
    period = try row.period("starts_at", "ends_at")
    nodes = try row.get("nodes")
    createdAt = try row.get("created_at")
    terminatedAt = try row.get("terminated_at")
  }
}

extension Row {
  /// Two columns of a period that a constraint keeps from being empty.
  func period(_ start: String, _ end: String) throws -> Period {
    let starts = try get(start, as: Timestamp.self)
    let ends = try get(end, as: Timestamp.self)
    guard let period = Period(start: starts, end: ends) else {
      throw StoreError.leaseEmpty(start: starts, end: ends)
    }
    return period
  }
}

/// A lease that ended, and what ended with it.
public struct LeaseEnd: Hashable, Sendable {
  /// The lease.
  public var lease: LeaseID
  /// The attempts that were live in it until now, with what became of their jobs.
  public var attempts: [EndedAttempt]
}
