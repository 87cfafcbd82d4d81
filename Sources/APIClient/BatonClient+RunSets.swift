public import Wire

extension BatonClient {
  /// Two or more runs side by side.
  public func compare(_ runs: [String], metric: String? = nil) async throws -> RunSetComparison {
    // Every value of every curve is looked at.
    try await answer(
      .get("runs", "compare", query: runs.map { ("run", $0) } + [("metric", metric)], answerSeconds: 3600))
  }

  /// What a run came from, and what came from it.
  public func lineage(ofRun run: String) async throws -> RunLineage { try await answer(.get("runs", run, "lineage")) }

  /// Adds words to a run, or takes them away.
  public func tag(_ run: String, _ request: TagRequest) async throws -> RunTags {
    try await answer(.post("runs", run, "tags", json: request, isRepeatable: true))
  }

  /// Writes a note about a run.
  public func addNote(_ text: String, to run: String) async throws -> RunNotes {
    try await answer(.post("runs", run, "notes", json: NoteRequest(text: text)))
  }

  /// Submits a run's job again, as it was.
  ///
  /// Made again when the connection fails: the submission key makes it the same job.
  public func reproduce(_ run: String, _ request: ReproduceRequest) async throws -> Reproduction {
    try await answer(.post("runs", run, "reproduce", json: request, isRepeatable: true))
  }

  /// The files that a run's ranks left to be kept: the newest of each path, or of each attempt.
  public func artifacts(
    ofRun run: String, all: Bool = false, glance: Bool = false
  ) async throws -> ArtifactListing {
    try await answer(
      .get("runs", run, "artifacts", query: [("all", all ? "true" : nil), ("glance", glance ? "true" : nil)]))
  }

  /// The bytes of one of them, as they come; nothing but their number says that all came.
  public func data(of artifact: ArtifactView, ofRun run: String) async throws -> ByteChunks {
    try await stream(
      .get(
        "runs", run, "artifacts", "data",
        query: [("path", artifact.path), ("attempt", "\(artifact.attempt)"), ("node", "\(artifact.nodeRank)")]))
  }

  /// The tar of a run's captured code.
  public func code(ofRun run: String) async throws -> ByteChunks { try await stream(.get("runs", run, "code")) }
}
