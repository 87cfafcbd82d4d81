import APIClient
import Domain
import Wire

/// Follows a job to its end, over restarts of the server.
struct JobFollower: Sendable {
  let client: BatonClient
  /// How often in a row the server may be away before following ends, at a second each.
  var triesMost = 60

  /// Calls `changed` at every change, and returns the job when it is over.
  ///
  /// - Throws: `CommandFailure` with `jobNotFound` where there is no such job.
  func follow(_ job: String, _ changed: (JobView) throws -> Void) async throws -> JobView {
    var last: JobView?
    do {
      try await Persistence(triesMost: triesMost).go { progressed in
        for try await view in try await client.watch(job) {
          progressed()
          last = view
          try changed(view)
          if view.state.isFinal { return true }
        }
        // The server ends the stream when the job is over, and also when it stops.
        let view = try await client.job(job)
        guard view.state.isFinal else { return false }
        last = view
        try changed(view)
        return true
      }
    } catch let failure as ClientFailure where failure.refusal?.code == .notFound {
      throw CommandFailure(.jobNotFound, failure.description)
    }
    if let last { return last }
    return try await client.job(job)
  }

  /// Follows a job for `limit` at most; then tells how it stands, over or not.
  func follow(_ job: String, atMost limit: TimeSpan?, _ changed: @escaping @Sendable (JobView) throws -> Void)
    async throws -> JobView
  {
    guard let limit else { return try await follow(job, changed) }
    return try await withThrowingTaskGroup(of: JobView?.self) { group in
      group.addTask { try await self.follow(job, changed) }
      group.addTask {
        try await Task.sleep(for: .microseconds(limit.microseconds))
        return nil
      }
      defer { group.cancelAll() }
      if let first = try await group.next(), let view = first { return view }
      return try await self.client.job(job)
    }
  }
}

/// Tells changes of a job that a person wants to hear of: not every step.
struct JobChanges: Sendable {
  private var last: JobView?

  init() {}

  /// Whether `view` differs from the one before in state, reason or attempt.
  mutating func isNews(_ view: JobView) -> Bool {
    defer { last = view }
    guard let last else { return true }
    return last.state != view.state || last.reason != view.reason || last.attempt?.number != view.attempt?.number
  }
}
