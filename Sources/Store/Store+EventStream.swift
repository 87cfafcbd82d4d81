import Domain
import Postgres

/// A place in the audit log, after which a reader goes on.
///
/// Unlike an id it never has a line appear before it: ids are drawn before transactions end.
public struct EventCursor: Hashable, Sendable {
  /// The transaction of the last line that was read.
  var transaction: Int64
  /// The id of that line.
  var event: EventID

  /// Reads what `description` wrote; nil for anything else.
  public init?(_ text: String) {
    let parts = text.split(separator: "-", omittingEmptySubsequences: false).map { Int64($0) }
    guard parts.count == 2, let transaction = parts[0], let event = parts[1], transaction >= 0, event >= 0 else {
      return nil
    }
    self.init(transaction: transaction, event: EventID(event))
  }

  init(transaction: Int64, event: EventID) {
    self.transaction = transaction
    self.event = event
  }
}

extension EventCursor: CustomStringConvertible {
  /// For readers that come back: opaque to them.
  public var description: String { "\(transaction)-\(event.rawValue)" }
}

/// Lines of the audit log, each with the place behind it.
public struct EventPage: Hashable, Sendable {
  /// One line.
  public struct Line: Hashable, Sendable {
    /// The line.
    public var record: EventRecord
    /// Where a reader of it goes on.
    public var cursor: EventCursor
  }

  /// In order.
  public var lines: [Line]
  /// Where to go on: behind the last line, or behind all that do not matter to the filter.
  public var next: EventCursor
  /// Whether more can be read at once, or lines are there whose turn comes when an open transaction ends.
  public var hasMore: Bool
}

extension Store {
  /// A place behind every line that can be read now.
  ///
  /// A line that is being written at this moment comes after it.
  public func endOfEvents() async throws -> EventCursor {
    let row = try await pool.one(
      "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS oldest_open")
    return EventCursor(transaction: try row.get("oldest_open"), event: EventID(0))
  }

  /// The next lines after `cursor` that `filter` lets through, at most `limit`: reading on from each answer's `next`
  /// gives every line once, in one order, whatever order their transactions end in.
  ///
  /// `filter.before` plays no part.
  public func events(
    after cursor: EventCursor, _ filter: EventFilter = EventFilter(), limit: Int
  ) async throws -> EventPage {
    let rows = try await pool.query(
      """
      WITH open AS (SELECT pg_snapshot_xmin(pg_current_snapshot()) AS oldest)
      SELECT o.oldest::text::bigint AS oldest_open,
        EXISTS (SELECT 1 FROM event l WHERE l.written_by >= o.oldest) AS is_incomplete, e.*
      FROM open o LEFT JOIN LATERAL (
        SELECT id, at, actor, action, subject_kind, subject_id, project_id, detail,
          written_by::text::bigint AS written_by
        FROM event
        WHERE (written_by, id) > (\("\(cursor.transaction)")::text::xid8, \(cursor.event)::bigint)
          AND written_by < o.oldest
          AND (\(filter.project)::bigint IS NULL OR project_id = \(filter.project)::bigint)
          AND (\(filter.subject?.kind)::text IS NULL
            OR (subject_kind = \(filter.subject?.kind)::text AND subject_id = \(filter.subject?.id)::bigint))
          AND (\(filter.action)::text IS NULL OR action = \(filter.action)::text
            OR starts_with(action, \(filter.action)::text || '.'))
        ORDER BY event.written_by, id LIMIT \(limit)
      ) e ON true
      ORDER BY e.written_by, e.id
      """)
    var lines: [EventPage.Line] = []
    var page = EventPage(lines: [], next: cursor, hasMore: false)
    for row in rows {
      page.hasMore = try row.get("is_incomplete")
      let oldest: Int64 = try row.get("oldest_open")
      // What a restored backup brings may be of later transactions than this server has seen.
      page.next.transaction = max(cursor.transaction, oldest)
      guard let id = try row.get("id", as: EventID?.self) else { continue }
      let place = EventCursor(transaction: try row.get("written_by"), event: id)
      lines.append(EventPage.Line(record: try EventRecord(row: row), cursor: place))
    }
    if page.next.transaction > cursor.transaction { page.next.event = EventID(0) }
    if lines.count == limit, let last = lines.last {
      page.next = last.cursor
      page.hasMore = true
    }
    page.lines = lines
    return page
  }
}
