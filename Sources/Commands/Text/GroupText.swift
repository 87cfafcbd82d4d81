import Domain
import Wire

/// Groups of jobs for people.
enum GroupText {
  /// `group-3 'mnist': 12 jobs, at most 4 at once: 8 PENDING, 4 RUNNING`.
  static func line(_ group: GroupView) -> String {
    let limit = group.atMost.map { ", at most \($0) at once" } ?? ""
    return Printable.line("\(group.id) '\(group.name)': \(counted(group.size, "job"))\(limit): \(states(group))")
  }

  /// `8 PENDING, 4 RUNNING`.
  private static func states(_ group: GroupView) -> String {
    JobState.allCases.compactMap { state in group.states[state.rawValue].map { "\($0) \(state.rawValue)" } }
      .joined(separator: ", ")
  }

  /// A row for each group.
  static func table(_ groups: [GroupView], _ times: TimeText) -> Table {
    var table = Table([
      .init("GROUP"), .init("NAME", shrinks: true), .init("OVER", isRight: true), .init("STATES", wraps: true),
      .init("AT MOST", isRight: true, drops: 1), .init("SUBMITTED", drops: 0),
    ])
    for group in groups {
      let over = JobState.allCases.filter(\.isFinal).reduce(0) { $0 + (group.states[$1.rawValue] ?? 0) }
      table.add([
        "\(group.id)", .init(Printable.line(group.name)), "\(over)/\(group.size)", .init(states(group)),
        .init(group.atMost.map { "\($0)" } ?? "-"), .init(times.absolute(group.submittedAt)),
      ])
    }
    return table
  }

  /// What a person reads after a submission: the group, and its first and last job.
  static func submitted(_ group: GroupView) -> String {
    var lines = [line(group)]
    if let first = group.jobs.first, let last = group.jobs.last {
      lines.append(
        "  \(first) to \(last); `baton queue --group \(group.id)` lists them, `baton cancel \(group.id)` ends them")
    }
    return lines.joined(separator: "\n")
  }

  /// One row of a queue: a job, or several members of a group that all stand alike.
  enum Row: Hashable {
    case job(JobView)
    case more(JobView, Int)
  }

  /// So many members of a group that wait alike stay rows of their own.
  static let fewest = 3

  /// `jobs` with the members of each group that wait for the same reason as one row from the second on, where they are
  /// more than `fewest`; what runs is never left out.
  static func rows(_ jobs: [JobView]) -> [Row] {
    struct Kind: Hashable {
      var group: JobGroupID
      var state: JobState
      var reason: String
    }
    func kind(of job: JobView) -> Kind? {
      guard let group = job.member?.group, !job.state.hasAttempt else { return nil }
      return Kind(group: group, state: job.state, reason: job.reason)
    }
    let counts = Dictionary(jobs.compactMap { kind(of: $0) }.map { ($0, 1) }, uniquingKeysWith: +)
    var seen: Set<Kind> = []
    return jobs.flatMap { job -> [Row] in
      guard let own = kind(of: job), let count = counts[own], count > fewest else { return [.job(job)] }
      return seen.insert(own).inserted ? [.job(job), .more(job, count - 1)] : []
    }
  }
}
