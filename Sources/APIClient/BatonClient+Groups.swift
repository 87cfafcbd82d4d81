public import Wire

extension BatonClient {
  /// Groups of jobs, newest first, at most 100: those with a smaller number than `before`, and of `over` those of which
  /// all jobs are over, or some are not.
  public func groups(over: Bool? = nil, before: Int64? = nil, limit: Int? = nil) async throws -> Listing<GroupView> {
    try await answer(
      .get(
        "groups",
        query: [
          ("over", over.map { "\($0)" }), ("before", before.map { "\($0)" }), ("limit", limit.map { "\($0)" }),
        ]))
  }

  /// One group of jobs.
  public func group(_ group: String) async throws -> GroupView { try await answer(.get("groups", group)) }

  /// Ends all jobs of a group that are not over; saving first, or at once.
  public func cancelGroup(_ group: String, now: Bool = false) async throws -> GroupView {
    try await answer(.delete("groups", group, json: CancelRequest(now: now)))
  }
}
