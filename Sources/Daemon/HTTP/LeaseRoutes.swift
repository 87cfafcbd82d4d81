import Domain
import Hummingbird
import Store
import Wire

/// Leases over HTTP.
enum LeaseRoutes {
  static let all: [Route] = [
    Route(
      method: .get, path: "/leases", access: .viewer, summary: "Leases that are not over; all of them with all=true",
      gives: Listing<LeaseView>.self
    ) { call in
      let over = try call.flag("all")
      let records = try await call.services.store.leases(project: call.projectFilter, includingOver: over)
      return try await .json(Listing(now: call.services.store.now(), items: LeaseView.build(records, call.services)))
    },
    Route(
      method: .post, path: "/leases", access: .user, summary: "Make a lease", takes: LeaseRequest.self,
      gives: LeaseView.self
    ) { call in
      let request: LeaseRequest = try await call.body()
      let now = try await call.services.store.now()
      let record = try await call.services.store.createLease(
        try await stored(request, at: now, call), by: call.principal.actor)
      return try await .json(view(record, call), status: .created)
    },
    Route(
      method: .get, path: "/leases/{lease}", access: .viewer, summary: "One lease", gives: LeaseView.self
    ) { call in
      try await .json(view(find(call), call))
    },
    Route(
      method: .post, path: "/leases/{lease}/extend", access: .user, summary: "Move a lease's end to later",
      takes: LeaseExtension.self, gives: LeaseView.self
    ) { call in
      let lease = try await find(call)
      let request: LeaseExtension = try await call.body()
      let now = try await call.services.store.now()
      let end =
        switch (request.by, request.until) {
        case (let by?, nil): lease.period.end + (try duration(by))
        case (nil, let until?): try moment(until, now)
        default: throw APIFailure(.badRequest, "say either by how long (`by`) or until when (`until`)")
        }
      let record = try await call.services.store.extendLease(lease.id, to: end, by: call.principal.actor)
      return try await .json(view(record, call))
    },
    Route(
      method: .post, path: "/leases/{lease}/drill", access: .user,
      summary:
        "Server-sent events: `drill` with a DrillProgress, while a lease's end is played without giving nodes back",
      takes: DrillRequest.self
    ) { call in
      let lease = try await find(call)
      let request = try await call.optionalBody(DrillRequest.self) ?? DrillRequest()
      guard lease.state == .active else {
        throw APIFailure(
          .wrongState,
          "\(lease.id) '\(lease.name)' is \(lease.state.rawValue): only the end of an ACTIVE lease can be played")
      }
      let drill = LeaseDrill(
        services: call.services, actor: call.principal.actor, lease: lease, stops: request.stop ?? false)
      return StreamRoutes.events { send in
        let report = try await drill.run { check in
          try await send(.init(name: "drill", value: DrillProgress(check: check)))
        }
        try await send(.init(name: "drill", value: DrillProgress(report: report)))
      }
    },
    Route(
      method: .delete, path: "/leases/{lease}", access: .user,
      summary: "Give a lease up: what runs in it ends at once", gives: LeaseView.self
    ) { call in
      let lease = try await find(call)
      let result = try await call.services.store.deleteLease(lease.id, by: call.principal.actor)
      guard !result.isStale else {
        throw APIFailure(.wrongState, "\(lease.id) '\(lease.name)' is over already")
      }
      return try await .json(view(call.services.store.lease(lease.id), call))
    },
  ]

  /// The lease that the path names: `3`, `lease-3`, or a name among those that are not over.
  static func find(_ call: Call) async throws -> LeaseRecord { try await find(call.parameter("lease"), call) }

  /// The lease that `text` names, of the project that asks.
  static func find(_ text: String, _ call: Call) async throws -> LeaseRecord {
    let store = call.services.store
    var found: LeaseRecord?
    if let id = LeaseID(text: text) {
      found = try await store.lease(id)
    } else {
      found = try await store.lease(named: text, project: call.principal.project)
    }
    guard let found, call.principal.role == .admin || found.project == call.principal.project else {
      throw APIFailure(.notFound, "there is no lease '\(text)': `baton lease list --all` shows them")
    }
    return found
  }

  private static func view(_ record: LeaseRecord, _ call: Call) async throws -> LeaseView {
    guard let view = try await LeaseView.build([record], call.services).first else {
      throw APIFailure(.notFound, "there is no \(record.id)")
    }
    return view
  }

  private static func stored(
    _ request: LeaseRequest, at now: Timestamp, _ call: Call
  ) async throws -> NewLease {
    let start = try request.start.flatMap { $0 == "now" ? nil : try moment($0, now) }
    let end: NewLease.End
    switch (request.end, request.duration) {
    case (let text?, nil): end = .at(try moment(text, now))
    case (nil, let text?):
      let length = try duration(text)
      guard length > .zero else {
        throw APIFailure(.badRequest, "a lease of '\(text)' has no length: give it at least a second")
      }
      end = .after(length)
    default: throw APIFailure(.badRequest, "say either when the lease ends (`end`) or how long it is (`duration`)")
    }
    let nodes: NewLease.Nodes
    if let names = request.nodeNames {
      var ids: [NodeID] = []
      for name in names {
        guard let id = try await call.services.store.node(named: name) else {
          throw APIFailure(.notFound, "there is no node '\(name)': `baton node list` shows them")
        }
        ids.append(id)
      }
      nodes = .these(ids)
    } else {
      guard let count = request.nodes else {
        throw APIFailure(.badRequest, "say how many nodes (`nodes`) or which (`nodeNames`)")
      }
      nodes = .any(count: count, type: request.nodeType)
    }
    let name = request.name ?? "lease-at-\(now.microseconds / 1_000_000)"
    return NewLease(name: name, project: call.principal.project, start: start, end: end, nodes: nodes)
  }

  private static func moment(_ text: String, _ now: Timestamp) throws -> Timestamp {
    do { return try Timestamp(parsing: text, now: now) } catch { throw APIFailure(.badRequest, error.description) }
  }

  private static func duration(_ text: String) throws -> TimeSpan {
    do { return try TimeSpan(parsing: text) } catch { throw APIFailure(.badRequest, error.description) }
  }
}

extension Call {
  /// Whose things a listing shows: an administrator sees all.
  var projectFilter: ProjectID? { principal.role == .admin ? nil : principal.project }
}
