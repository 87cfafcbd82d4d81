public import Domain
import Postgres

extension Store {
  /// Whether `error` concerns all that is asked of the database now: the connection to it, the server as a whole, or a
  /// cancellation; and not just the rows of one transaction, which keep no other from being tried.
  public static func concernsAll(_ error: any Error) -> Bool {
    if error is CancellationError { return true }
    guard let error = error as? PostgresError else { return false }
    guard let state = error.sqlState else { return true }
    return ["08", "53", "57P"].contains { state.hasPrefix($0) }
  }

  /// Writes down for people that something about `job` keeps failing, and why: one line of the audit log.
  ///
  /// `.stale` where there is no such job, or the turn is another's.
  public func recordTrouble(of job: JobID, _ reason: String, by epoch: ControllerEpoch) async throws -> Guarded<JobID> {
    try await recordTrouble(of: job, "job.trouble", ["reason": reason], by: epoch)
  }

  /// As the other, by an action of its own that begins with `job.trouble`, so that it is found among a job's troubles.
  func recordTrouble(
    of job: JobID, _ action: String, _ detail: [String: String], by epoch: ControllerEpoch
  ) async throws -> Guarded<JobID> {
    try await controlled(by: epoch) { transaction in
      guard let row = try await transaction.first("SELECT project_id FROM job WHERE id = \(job)") else { return .stale }
      try await record(
        action, Subject(job), project: row.get("project_id"), by: .controller(epoch), detail: detail, in: transaction)
      return .done(job)
    }
  }

  /// The same of a lease.
  public func recordTrouble(
    with lease: LeaseID, _ reason: String, by epoch: ControllerEpoch
  ) async throws -> Guarded<LeaseID> {
    try await controlled(by: epoch) { transaction in
      guard let row = try await transaction.first("SELECT project_id FROM lease WHERE id = \(lease)") else {
        return .stale
      }
      try await record(
        "lease.trouble", Subject(lease), project: row.get("project_id"), by: .controller(epoch),
        detail: ["reason": reason], in: transaction)
      return .done(lease)
    }
  }
}
