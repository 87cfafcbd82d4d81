public import Wire

extension BatonClient {
  /// The checkpoints of a job, by step.
  public func checkpoints(of job: String) async throws -> Listing<CheckpointView> {
    try await answer(.get("jobs", job, "checkpoints"))
  }

  /// One checkpoint, with its pins.
  public func checkpointView(_ checkpoint: String) async throws -> CheckpointView {
    try await answer(.get("checkpoints", checkpoint))
  }

  /// Keeps a checkpoint whatever the policy says.
  public func pin(_ checkpoint: String, _ request: PinRequest) async throws -> CheckpointView {
    try await answer(.post("checkpoints", checkpoint, "pin", json: request, isRepeatable: true))
  }

  /// Takes a pin back.
  public func unpin(_ checkpoint: String, _ request: PinRequest = PinRequest()) async throws -> CheckpointView {
    try await answer(.post("checkpoints", checkpoint, "unpin", json: request))
  }

  /// Marks a checkpoint CORRUPT for ever: the one before it is what its job goes on from.
  public func reject(_ checkpoint: String, _ request: RejectRequest) async throws -> CheckpointView {
    try await answer(.post("checkpoints", checkpoint, "reject", json: request))
  }

  /// Has all of a checkpoint read back; the last value tells what was found.
  public func verify(_ checkpoint: String) async throws -> EventStream<VerifyProgress> {
    EventStream(
      chunks: try await stream(.post("checkpoints", checkpoint, "verify", isRepeatable: true)), name: "verify")
  }

  /// The files of a checkpoint, with lengths and hashes.
  public func files(of checkpoint: String) async throws -> CheckpointFiles {
    try await answer(.get("checkpoints", checkpoint, "files"))
  }

  /// The bytes of one of its files from `offset` on, as they come.
  ///
  /// Nothing says that all came: compare the length and the hash with what `files(of:)` tells.
  public func data(of checkpoint: String, path: String, from offset: Int64 = 0) async throws -> ByteChunks {
    try await stream(
      .get("checkpoints", checkpoint, "data", query: [("path", path), ("from", offset > 0 ? "\(offset)" : nil)]))
  }

  /// Removes checkpoints of a job, or only tells which would be.
  public func prune(_ job: String, _ request: PruneRequest) async throws -> PruneReport {
    try await answer(.post("jobs", job, "checkpoints", "prune", json: request, answerSeconds: 3600))
  }
}
