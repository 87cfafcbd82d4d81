public import Domain
import Postgres

/// Who did something.
public enum Actor: Hashable, Sendable {
  /// A person, or a program with a person's token.
  case user(String)
  /// The daemon that holds this epoch.
  case controller(ControllerEpoch)
  /// Someone at the machine itself, with the administrator's command.
  case admin

  /// `user:alice`, `controller:7`, `admin`.
  public var text: String {
    switch self {
    case .user(let name): "user:\(name)"
    case .controller(let epoch): "controller:\(epoch.rawValue)"
    case .admin: "admin"
    }
  }
}

/// What an event is about: a kind, as in `job`, and its number.
public struct Subject: Hashable, Sendable {
  /// The word before the number, as in `job-17`.
  public var kind: String
  /// The number.
  public var id: Int64

  /// The thing that `id` names.
  public init<Entity>(_ id: Identifier<Entity>) {
    kind = Entity.idPrefix
    self.id = id.rawValue
  }
}

/// One line of the audit log.
public struct EventRecord: Hashable, Sendable {
  /// Its number: later lines have greater ones.
  public var id: EventID
  /// When, by the database's clock.
  public var at: Timestamp
  /// Who, as `Actor.text` has it.
  public var actor: String
  /// What, as in `job.submit`.
  public var action: String
  /// To what.
  public var subject: Subject
  /// In which project; nil where it concerns the site.
  public var project: ProjectID?
  /// More, by name.
  public var detail: [String: String]

  init(row: Row) throws {
    id = try row.get("id")
    at = try row.get("at")
    actor = try row.get("actor")
    action = try row.get("action")
    subject = Subject(kind: try row.get("subject_kind"), id: try row.get("subject_id"))
    project = try row.get("project_id")
    detail = try row.json("detail")
  }
}

extension Subject {
  /// The thing of `kind`, as in `job`, with this number.
  public init(kind: String, number: Int64) { self.init(kind: kind, id: number) }

  init(kind: String, id: Int64) {
    self.kind = kind
    self.id = id
  }
}

/// Which events to list; nil is any.
public struct EventFilter: Hashable, Sendable {
  /// Only those of this project.
  public var project: ProjectID?
  /// Only those about this.
  public var subject: Subject?
  /// Only those whose action is this, or begins with this and a dot.
  public var action: String?
  /// Only those with a smaller number: the next page.
  public var before: EventID?
  /// Only those with a greater number.
  public var after: EventID?

  /// All events.
  public init() {}
}

extension Store {
  /// Lists events, newest first, at most `limit`: the newest ones, and with `after` those that come next.
  public func events(_ filter: EventFilter = EventFilter(), limit: Int = 100) async throws -> [EventRecord] {
    let direction: SQL = filter.after == nil ? "DESC" : "ASC"
    let found = try await pool.query(
      """
      SELECT id, at, actor, action, subject_kind, subject_id, project_id, detail
      FROM event
      WHERE (\(filter.project)::bigint IS NULL OR project_id = \(filter.project)::bigint)
        AND (\(filter.subject?.kind)::text IS NULL
          OR (subject_kind = \(filter.subject?.kind)::text AND subject_id = \(filter.subject?.id)::bigint))
        AND (\(filter.action)::text IS NULL OR action = \(filter.action)::text
          OR starts_with(action, \(filter.action)::text || '.'))
        AND (\(filter.before)::bigint IS NULL OR id < \(filter.before)::bigint)
        AND (\(filter.after)::bigint IS NULL OR id > \(filter.after)::bigint)
      ORDER BY id \(direction) LIMIT \(limit)
      """
    ).map(EventRecord.init)
    return filter.after == nil ? found : found.reversed()
  }

  /// Appends one line to the audit log, as part of the transaction that it tells of.
  func record(
    _ action: String, _ subject: Subject, project: ProjectID? = nil, by actor: Actor, detail: [String: String] = [:],
    in transaction: PostgresTransaction
  ) async throws {
    try await transaction.execute(
      """
      INSERT INTO event (actor, action, subject_kind, subject_id, project_id, detail)
      VALUES (\(actor.text), \(action), \(subject.kind), \(subject.id), \(project), \(JSON.text(detail)))
      """)
  }
}
