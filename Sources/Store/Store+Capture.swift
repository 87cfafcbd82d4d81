import Crypto
public import Domain
import FoundationEssentials
import Postgres

/// What stood around the ranks of an attempt on one of its nodes.
public struct EnvironmentRecord: Hashable, Sendable {
  /// Of which attempt, by number.
  public var attemptNumber: Int
  /// On which node.
  public var node: NodeID
  /// SHA-256 of it: equal ones have equal ids.
  public var sha256: String
  /// What it is.
  public var content: NodeEnvironment
}

extension Store {
  /// Writes down what stood around the ranks of an attempt on a node; the same again changes nothing.
  ///
  /// `.stale` where the turn is another's, or the node is none of the attempt.
  public func recordEnvironment(
    _ attempt: AttemptID, node: NodeID, _ content: NodeEnvironment, by epoch: ControllerEpoch
  ) async throws -> Guarded<String> {
    let sha256 = SHA256.hash(data: Data(content.canonicalText.utf8)).hexadecimal
    return try await controlled(by: epoch) { transaction in
      try await transaction.execute(
        """
        INSERT INTO environment (sha256, content) VALUES (\(sha256), \(JSON.text(content))) ON CONFLICT DO NOTHING
        """)
      let count = try await transaction.execute(
        """
        UPDATE attempt_node SET environment_sha256 = \(sha256) WHERE attempt_id = \(attempt) AND node_id = \(node)
        """)
      return count == 1 ? .done(sha256) : .stale
    }
  }

  /// What stood around the ranks of each attempt of a job, by attempt and rank, as far as nodes have told.
  public func environments(of job: JobID) async throws -> [EnvironmentRecord] {
    try await pool.query(
      """
      SELECT a.number, n.node_id, e.sha256, e.content
      FROM attempt a JOIN attempt_node n ON n.attempt_id = a.id JOIN environment e ON e.sha256 = n.environment_sha256
      WHERE a.job_id = \(job) ORDER BY a.number, n.node_rank
      """
    ).map { row in
      EnvironmentRecord(
        attemptNumber: try row.get("number"), node: try row.get("node_id"), sha256: try row.get("sha256"),
        content: try row.json("content"))
    }
  }

  /// The code that was captured for a job; nil where none was.
  public func code(of job: JobID) async throws -> CodeCapture? {
    let row = try await pool.first("SELECT code FROM run WHERE job_id = \(job)")
    return try row?.get("code", as: String?.self).map { try JSON.value(from: $0) }
  }

  /// The run whose checkpoint a job was submitted to start from; nil for one that begins with nothing.
  public func startRun(of job: JobID) async throws -> RunID? {
    let row = try await pool.first(
      "SELECT c.job_id FROM run r JOIN checkpoint c ON c.id = r.start_checkpoint_id WHERE r.job_id = \(job)")
    return try row?.get("job_id", as: JobID.self).run
  }

  /// Keeps the checkpoint that a job starts from until the job is over.
  func pinStart(
    of job: JobID, _ submission: JobSubmission, by actor: Actor, in transaction: PostgresTransaction
  ) async throws {
    guard let checkpoint = submission.startCheckpoint else { return }
    // Who prunes holds this lock: from here on it finds the pin.
    let row = try await transaction.first(
      """
      SELECT c.state FROM checkpoint c JOIN job k ON k.id = c.job_id
      WHERE c.id = \(checkpoint) AND k.project_id = \(submission.project) FOR UPDATE OF k
      """)
    guard let row else { throw StoreError.notFound(kind: "checkpoint", name: "\(checkpoint)") }
    let state: CheckpointState = try row.get("state")
    guard state == .durable else { throw StoreError.notResumable(checkpoint: checkpoint, state: state) }
    try await transaction.execute(
      """
      INSERT INTO checkpoint_pin (checkpoint_id, job_id, pinned_by, note)
      VALUES (\(checkpoint), \(job), \(actor.text), 'starts from it') ON CONFLICT DO NOTHING
      """)
    try await record(
      "checkpoint.pin", Subject(checkpoint), project: submission.project, by: actor, detail: ["for": "\(job.run)"],
      in: transaction)
  }
}
