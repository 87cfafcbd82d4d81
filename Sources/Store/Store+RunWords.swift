public import Domain
import Postgres

/// What somebody wrote about a run.
public struct RunNote: Hashable, Sendable {
  /// Who, as `Actor.text` has it.
  public var author: String
  /// When.
  public var writtenAt: Timestamp
  /// What.
  public var body: String

  init(row: Row) throws {
    author = try row.get("author")
    writtenAt = try row.get("written_at")
    body = try row.get("body")
  }
}

extension Store {
  /// Adds words to a run or takes them away; gives those it has then, sorted.
  ///
  /// A word that it has already, or does not have, is passed over. Throws `.notFound`.
  public func tagRun(
    _ run: RunID, add: [String], remove: [String] = [], by actor: Actor
  ) async throws -> [String] {
    try await transaction { transaction in
      let row = try await transaction.first("SELECT project_id FROM job WHERE id = \(run.job) FOR NO KEY UPDATE")
      guard let row else { throw StoreError.notFound(kind: "run", name: "\(run)") }
      let added = try await transaction.query(
        """
        INSERT INTO run_tag (job_id, tag, added_by)
        SELECT \(run.job), w.tag, \(actor.text) FROM (SELECT DISTINCT u.tag FROM unnest(\(add)::text[]) AS u (tag)) w
        ON CONFLICT DO NOTHING RETURNING tag
        """
      ).map { try $0.get("tag", as: String.self) }
      let removed = try await transaction.query(
        "DELETE FROM run_tag WHERE job_id = \(run.job) AND tag = ANY (\(remove)::text[]) RETURNING tag"
      ).map { try $0.get("tag", as: String.self) }
      if !added.isEmpty || !removed.isEmpty {
        let detail = [
          "added": added.sorted().joined(separator: " "), "removed": removed.sorted().joined(separator: " "),
        ].filter { !$0.value.isEmpty }
        try await record(
          "run.tag", Subject(run.job), project: row.get("project_id"), by: actor, detail: detail, in: transaction)
      }
      return try await transaction.query("SELECT tag FROM run_tag WHERE job_id = \(run.job) ORDER BY tag")
        .map { try $0.get("tag") }
    }
  }

  /// Writes a note about a run, which nobody changes afterwards.
  ///
  /// Throws `.notFound`.
  public func addNote(_ body: String, to run: RunID, by actor: Actor) async throws {
    try await transaction { transaction in
      let row = try await transaction.first("SELECT project_id FROM job WHERE id = \(run.job)")
      guard let row else { throw StoreError.notFound(kind: "run", name: "\(run)") }
      try await transaction.execute(
        "INSERT INTO run_note (job_id, author, body) VALUES (\(run.job), \(actor.text), \(body))")
      try await record(
        "run.note", Subject(run.job), project: row.get("project_id"), by: actor,
        detail: ["note": String(body.prefix(200))], in: transaction)
    }
  }

  /// What was written about a run, oldest first.
  public func notes(of job: JobID) async throws -> [RunNote] {
    try await pool.query("SELECT author, written_at, body FROM run_note WHERE job_id = \(job) ORDER BY id")
      .map(RunNote.init)
  }

  /// The words of each of `jobs`, sorted; those without any are left out.
  public func tags(of jobs: [JobID]) async throws -> [JobID: [String]] {
    var tags: [JobID: [String]] = [:]
    for row in try await pool.query(
      "SELECT job_id, tag FROM run_tag WHERE job_id = ANY (\(jobs)::bigint[]) ORDER BY job_id, tag")
    {
      tags[try row.get("job_id"), default: []].append(try row.get("tag"))
    }
    return tags
  }
}
