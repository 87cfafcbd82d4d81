public import Domain

/// That ranks left more to be kept than is in the object store.
public struct MissingArtifactsRecord: Hashable, Sendable {
  /// In which attempt of the job.
  public var attempt: Int
  /// On which node, by its name then.
  public var node: String
  /// What is missing, and why.
  public var reason: String
}

extension Store {
  private static let artifactsMissing = "job.trouble.artifacts"
  /// More are not told: a line for each node of each attempt that had to leave something behind.
  private static let missingMost = 200

  /// Writes down that not all that the ranks on `node` left to be kept is in the store: one line of the audit log.
  ///
  /// `.stale` where there is no such job, or the turn is another's.
  public func recordMissingArtifacts(
    of job: JobID, attempt: Int, node: String, _ reason: String, by epoch: ControllerEpoch
  ) async throws -> Guarded<JobID> {
    try await recordTrouble(
      of: job, Self.artifactsMissing, ["attempt": "\(attempt)", "node": node, "reason": reason], by: epoch)
  }

  /// What is not kept of a job's artifacts, the newest 200 lines of it, oldest first.
  public func missingArtifacts(of job: JobID) async throws -> [MissingArtifactsRecord] {
    var filter = EventFilter()
    filter.subject = Subject(job)
    filter.action = Self.artifactsMissing
    return try await events(filter, limit: Self.missingMost).reversed().map { line in
      MissingArtifactsRecord(
        attempt: line.detail["attempt"].flatMap { Int($0) } ?? 0, node: line.detail["node"] ?? "",
        reason: line.detail["reason"] ?? "")
    }
  }
}
