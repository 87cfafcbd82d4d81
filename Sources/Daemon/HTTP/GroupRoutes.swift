import Domain
import Hummingbird
import JobFile
import Store
import Wire

/// Groups of jobs over HTTP.
enum GroupRoutes {
  /// As many are listed at once: each tells all of its jobs.
  private static let most = 100

  static let all: [Route] = [
    Route(
      method: .get, path: "/groups", access: .viewer,
      summary:
        "Groups of jobs, newest first, at most `limit` (100); with before=ID those before it, over=true or false those that are over, or are not",
      gives: Listing<GroupView>.self
    ) { call in
      var filter = try filter(call)
      if call.query("over") != nil { filter.isOver = try call.flag("over") }
      return try await .json(page(filter, call, of: most))
    },
    Route(
      method: .get, path: "/groups/{group}", access: .viewer, summary: "A group of jobs that one file made",
      gives: GroupView.self
    ) { call in
      try await .json(GroupView(find(call)))
    },
    Route(
      method: .delete, path: "/groups/{group}", access: .user,
      summary: "End all jobs of a group; each may save first unless `now` is true", takes: CancelRequest.self,
      gives: GroupView.self
    ) { call in
      let group = try await find(call)
      let now = try await call.optionalBody(CancelRequest.self)?.now ?? false
      try await cancel(group, now: now, call)
      return try await .json(GroupView(call.services.store.group(group.id)))
    },
  ]

  /// Ends all jobs of a group that are not over; each may save first unless `now` is true.
  static func cancel(_ group: JobGroupRecord, now: Bool, _ call: Call) async throws {
    for job in group.jobs {
      // One that ended in between is as good as cancelled.
      if case .requested = try await call.services.store.cancelJob(job, by: call.principal.actor), now {
        try await call.services.store.askForKill(of: job)
      }
    }
  }

  /// The groups of `filter`, newest first: `limit` of them, at most and unless told otherwise `most`.
  static func page(_ filter: JobGroupFilter, _ call: Call, of most: Int) async throws -> Listing<GroupView> {
    let limit = try call.number("limit", within: 1...most, standard: most)
    let groups = try await call.services.store.groups(filter, limit: limit + 1).map(GroupView.init)
    return try await Listing(now: call.services.store.now(), upTo: limit, of: groups) { $0.id.rawValue }
  }

  /// Whose groups are listed, and after which.
  static func filter(_ call: Call) throws -> JobGroupFilter {
    var filter = JobGroupFilter()
    filter.project = call.projectFilter
    let before = try call.number("before", within: 0...Int.max, standard: 0)
    if before > 0 { filter.before = JobGroupID(Int64(before)) }
    return filter
  }

  /// The group that the path names: `3` or `group-3`.
  static func find(_ call: Call) async throws -> JobGroupRecord {
    try await find(try call.parameter("group"), call)
  }

  /// Its jobs, by index.
  static func jobs(of group: JobGroupRecord, _ call: Call) async throws -> [JobView] {
    var filter = JobFilter()
    filter.project = call.projectFilter
    filter.group = group.id
    let records = try await call.services.store.jobs(filter, limit: JobFileMembers.most)
    return try await JobView.build(records.reversed(), call.services)
  }

  /// The group that `text` names.
  static func find(_ text: String, _ call: Call) async throws -> JobGroupRecord {
    guard let id = JobGroupID(text: text) else {
      throw APIFailure(.notFound, "'\(text)' names no group of jobs: write its number, as in group-3")
    }
    let group = try await call.services.store.group(id)
    guard call.principal.role == .admin || group.project == call.principal.project else {
      throw StoreError.notFound(kind: "group", name: text)
    }
    return group
  }

  /// Submits all members of a file, or none.
  static func submit(_ members: JobFileMembers, _ request: SubmitRequest, _ call: Call) async throws -> Response {
    guard let first = members.members.first else { throw APIFailure(.badRequest, "the file makes no job") }
    if let code = request.provenance.code { try await CodeRoutes.check(code, call) }
    let common = JobSubmission(
      project: call.principal.project, user: call.principal.user, spec: first.spec, specText: request.file,
      key: request.submissionKey, provenance: Provenance(request.provenance),
      startCheckpoint: try await JobRoutes.startCheckpoint(request.startFrom, call))
    let submission = GroupSubmission(
      common: common, name: members.name, atMost: members.atMost,
      members: members.members.map {
        GroupSubmission.Member(index: $0.index, values: $0.values, spec: $0.spec, specText: $0.text)
      })
    let (group, isNew) = try await call.services.store.submit(submission, by: call.principal.actor)
    return try .json(
      JobAnswer(job: nil, explanation: nil, text: [], existed: !isNew, group: GroupView(group)),
      status: isNew ? .created : .ok)
  }

  /// What is said of a file with many members that is only tested.
  static func count(_ members: JobFileMembers) -> String {
    let limit = members.atMost.map { ", at most \($0) at once" } ?? ""
    return "\(members.members.count) jobs (\(members.dimensions.joined(separator: " x ")))\(limit); the first of them:"
  }
}

extension GroupView {
  /// A group as it is shown.
  init(_ record: JobGroupRecord) {
    self.init(
      id: record.id, name: record.name, size: record.size, atMost: record.atMost, submittedAt: record.submittedAt,
      states: Dictionary(record.states.map { ($0.key.rawValue, $0.value) }) { first, _ in first }, jobs: record.jobs,
      project: record.projectName, user: record.userName)
  }
}
