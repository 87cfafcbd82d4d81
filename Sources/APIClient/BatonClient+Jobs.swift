public import Wire

extension BatonClient {
  /// The jobs that are not over, or all of them; only those in `state` where one is given, or all of a group.
  ///
  /// All of them and those in a state come page by page, newest first, as those of `runs`.
  public func jobs(
    all: Bool = false, state: String? = nil, group: String? = nil, before: Int64? = nil, limit: Int? = nil
  ) async throws -> Listing<JobView> {
    try await answer(
      .get(
        "jobs",
        query: [
          ("all", all ? "true" : nil), ("state", state), ("group", group), ("before", before.map { "\($0)" }),
          ("limit", limit.map { "\($0)" }),
        ]))
  }

  /// Submits a job.
  ///
  /// Made again when the connection fails: the submission key makes it the same job.
  public func submit(_ request: SubmitRequest) async throws -> JobAnswer {
    try await answer(.post("jobs", json: request, isRepeatable: true))
  }

  /// One job, by id or name.
  public func job(_ job: String) async throws -> JobView { try await answer(.get("jobs", job)) }

  /// Why a job waits, or that it starts.
  public func explain(_ job: String) async throws -> JobAnswer { try await answer(.get("jobs", job, "explain")) }

  /// Ends a job; saving first, or at once.
  public func cancel(_ job: String, now: Bool = false) async throws -> JobView {
    try await answer(.delete("jobs", job, json: CancelRequest(now: now)))
  }

  /// Asks a running job to save now.
  public func checkpoint(_ job: String) async throws -> JobView {
    try await answer(.post("jobs", job, "checkpoint", isRepeatable: true))
  }

  /// Keeps a waiting job out of scheduling.
  public func hold(_ job: String) async throws -> JobView {
    try await answer(.post("jobs", job, "hold"))
  }

  /// Lets a held job be scheduled again.
  public func release(_ job: String) async throws -> JobView {
    try await answer(.post("jobs", job, "release"))
  }

  /// The output of one rank, as far as there is some: of one attempt, or of all.
  public func logs(_ job: String, rank: Int? = nil, attempt: Int? = nil) async throws -> ByteChunks {
    try await stream(
      .get("jobs", job, "logs", query: [("rank", rank.map(String.init)), ("attempt", attempt.map(String.init))]))
  }

  /// The output of one rank as it is written, of one attempt or of all, up to a piece that says that it is the end.
  ///
  /// A stream that ends without that was cut: `after`, the id of the last piece that came, goes on behind it.
  public func followLogs(
    _ job: String, rank: Int? = nil, attempt: Int? = nil, after: String? = nil
  ) async throws -> EventStream<LogPiece> {
    let query = [("rank", rank.map(String.init)), ("attempt", attempt.map(String.init)), ("after", after)]
    return EventStream(chunks: try await stream(.get("jobs", job, "logs", "stream", query: query)), name: "log")
  }

  /// The job at every change, until it is over.
  public func watch(_ job: String) async throws -> EventStream<JobView> {
    EventStream(chunks: try await stream(.get("jobs", job, "watch")), name: "job")
  }
}
