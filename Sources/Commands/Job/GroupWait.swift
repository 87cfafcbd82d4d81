import APIClient
import Domain
import Wire

/// Waits for the jobs of a group, one after the other: whoever is over already costs one look.
struct GroupWait {
  let client: BatonClient
  let context: Context

  /// Returns once all are over; throws the status of the first that did not complete.
  func wait(for group: GroupView) async throws {
    var worst: ExitStatus?
    for job in group.jobs {
      let end = try await JobFollower(client: client).follow("\(job)") { _ in }
      if !context.json { context.console.out(JobText.line(end, context.times())) }
      let status = ExitStatus(following: end)
      if status != .success { worst = worst ?? status }
    }
    if context.json { context.console.out(try JSONText.pretty(try await client.group("\(group.id)"))) }
    if let worst { throw CommandFailure(worst) }
  }
}
