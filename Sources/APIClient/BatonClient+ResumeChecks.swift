public import Wire

extension BatonClient {
  /// Has the steps after a checkpoint of `run` replayed twice, and compared with what it computed.
  public func verifyResume(_ run: String, _ request: ResumeCheckRequest) async throws -> ResumeCheckView {
    try await answer(.post("runs", run, "resume-checks", json: request))
  }

  /// The proofs about a run, newest first.
  public func resumeChecks(_ run: String) async throws -> Listing<ResumeCheckView> {
    try await answer(.get("runs", run, "resume-checks"))
  }

  /// One proof.
  public func resumeCheck(_ check: String) async throws -> ResumeCheckView {
    try await answer(.get("resume-checks", check))
  }

  /// A proof at every change, until there is a verdict.
  public func watchResumeCheck(_ check: String) async throws -> EventStream<ResumeCheckView> {
    EventStream(chunks: try await stream(.get("resume-checks", check, "watch")), name: "check")
  }
}
