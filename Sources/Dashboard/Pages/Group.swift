public import Domain
public import Wire

/// What `/groups/N` shows.
public struct GroupContent: Hashable, Sendable {
  /// The group.
  public var group: GroupView
  /// Its jobs, by index.
  public var jobs: [JobView]
  /// Whether who looks may end them.
  public var mayCancel: Bool

  /// The content of `/groups/N`.
  public init(group: GroupView, jobs: [JobView], mayCancel: Bool) {
    self.group = group
    self.jobs = jobs
    self.mayCancel = mayCancel
  }
}

extension PageRenderer {
  /// `/groups/N`: the jobs of an array, a matrix or a study.
  public func group(_ content: GroupContent, at now: Timestamp, in frame: Frame) -> String {
    page(.group, GroupModel(content, now), title: content.group.name, section: .groups, in: frame)
  }
}

/// Where a job stands in its group, in words.
struct GroupPlace {
  let link: String
  let group: String
  /// `lr 0.1, batch 32`, or `index 3` of an array.
  let values: String

  init(_ member: GroupMemberView) {
    link = "/groups/\(member.group.rawValue)"
    group = "\(member.group)"
    let words = member.values.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
    values = words.isEmpty ? "index \(member.index)" : words.joined(separator: ", ")
  }
}

private struct GroupModel {
  /// As many runs can be compared at once.
  static let comparedMost = 16

  struct State {
    let badge: Badge
    let count: String
  }

  struct Value {
    let name: String
    let value: String
  }

  struct Member {
    let index: Int
    let values: [Value]
    let job: JobRow
  }

  /// What a person may do about it.
  struct Cancel {
    let path: String
    let count: String
  }

  let id: String
  let name: String
  let size: String
  let atMost: String
  let over: String
  let submitted: Moment
  let states: [State]
  let bar: String
  let axes: [String]
  let members: [Member]
  let compareLink: String?
  let cancel: Cancel?

  init(_ content: GroupContent, _ now: Timestamp) {
    let group = content.group
    id = "\(group.id)"
    name = group.name
    size = counted(group.size, "job")
    atMost = group.atMost.map { "at most \(grouped($0)) at once" } ?? "any number at once"
    submitted = Moment(group.submittedAt)
    let standing = GroupStates(group)
    over = standing.over
    states = standing.counts.map { State(badge: Badge($0.state), count: grouped($0.count)) }
    bar = standing.bar
    axes = Set(content.jobs.flatMap { $0.member?.values.keys.map(\.self) ?? [] }).sorted()
    let names = axes
    members = content.jobs.map { job in
      Member(
        index: job.member?.index ?? 0,
        values: names.map { Value(name: $0, value: job.member?.values[$0] ?? "\u{2013}") },
        job: JobRow(job, at: now))
    }
    let canCompare = (2...Self.comparedMost).contains(content.jobs.count)
    compareLink =
      canCompare ? "/runs/compare?" + content.jobs.map { "run=\($0.id.rawValue)" }.joined(separator: "&") : nil
    cancel =
      content.mayCancel && standing.left > 0
      ? Cancel(path: "/groups/\(group.id.rawValue)/cancel", count: counted(standing.left, "job")) : nil
  }
}
