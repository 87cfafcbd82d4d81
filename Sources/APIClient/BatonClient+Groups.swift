public import Wire

extension BatonClient {
  /// One group of jobs.
  public func group(_ group: String) async throws -> GroupView { try await answer(.get("groups", group)) }

  /// Ends all jobs of a group that are not over; saving first, or at once.
  public func cancelGroup(_ group: String, now: Bool = false) async throws -> GroupView {
    try await answer(.delete("groups", group, json: CancelRequest(now: now)))
  }
}
