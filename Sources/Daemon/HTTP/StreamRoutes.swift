import Domain
import Foundation
import Hummingbird
import Launching
import NIOCore
import ObjectStorage
import Store
import Wire

/// What does not end at once: logs, and server-sent events.
enum StreamRoutes {
  /// Sent when nothing else is, so that a dead connection is noticed by both sides.
  private static let heartbeat = Duration.seconds(15)
  /// A page that is looked at hears of changes no more often than this.
  private static let leastGap = Duration.milliseconds(500)

  static let all: [Route] = [
    Route(
      method: .get, path: "/jobs/{job}/logs", access: .viewer,
      summary: "What a rank wrote; with follow=true as it does, from attempt to attempt"
    ) { call in
      let job = try await JobRoutes.find(call)
      let rank = try call.number("rank", within: 0...1_000_000, standard: 0)
      let number = try call.query("attempt").map { _ in try call.number("attempt", within: 1...1_000_000, standard: 1) }
      let reader = LogReader(services: call.services, job: job.id, rank: rank, follows: try call.flag("follow"))
      guard rank < job.spec.resources.nodes * job.spec.launcher.processesPerNode else {
        throw APIFailure(.notFound, "\(job.id) has no rank \(rank)")
      }
      return .stream(contentType: "text/plain; charset=utf-8") { send in
        try await reader.read(attempt: number) { await send(ByteBuffer(bytes: $0)) }
      }
    },
    Route(
      method: .get, path: "/jobs/{job}/watch", access: .viewer,
      summary: "Server-sent events: a JobView at every change, until the job is over"
    ) { call in
      let job = try await JobRoutes.find(call)
      let services = call.services
      return events { send in
        var last: JobView?
        let wakeUps = wakeUps(services) { change in
          [.job(job.id), .metrics(job.id), .everything].contains(change) || change.isAttempt
        }
        for await _ in wakeUps {
          let view = try await JobView.build(job.id, services)
          if view != last {
            last = view
            try await send("job", view)
          } else {
            try await send(nil, view)
          }
          if view.state.isFinal { return }
        }
      }
    },
    Route(
      method: .get, path: "/events", access: .viewer, summary: "The audit log, newest first",
      gives: Listing<EventView>.self
    ) { call in
      let filter = try filter(call)
      let limit = try call.number("limit", within: 1...1000, standard: 100)
      let after = try call.number("after", within: 0...Int.max, standard: 0)
      let records = try await call.services.store.events(filter, limit: limit).filter { $0.id.rawValue > Int64(after) }
      return try await .json(Listing(now: call.services.store.now(), items: records.map(EventView.init)))
    },
    Route(
      method: .get, path: "/events/stream", access: .viewer,
      summary: "Server-sent events: `event` with every line of the audit log, `change` when something else moved"
    ) { call in
      let filter = try filter(call)
      let services = call.services
      return events { send in
        var last = try await services.store.events(filter, limit: 1).first?.id.rawValue ?? 0
        for await _ in wakeUps(services, for: { _ in true }) {
          let fresh = try await services.store.events(filter, limit: 200).filter { $0.id.rawValue > last }
          for record in fresh.reversed() {
            last = record.id.rawValue
            try await send("event", EventView(record))
          }
          // Points of a curve, or how far staging is: worth a look, not a line of the log.
          if fresh.isEmpty { try await send("change", last) }
          try await Task.sleep(for: leastGap)
        }
      }
    },
  ]

  /// What the address limits a list of events to.
  static func filter(_ call: Call) throws -> EventFilter {
    var filter = EventFilter()
    filter.project = call.projectFilter
    if let text = call.query("subject") {
      let parts = text.split(separator: "-")
      guard parts.count == 2, let id = Int64(parts[1]) else {
        throw APIFailure(.badRequest, "'\(text)' names nothing: write it as in job-17")
      }
      filter.subject = Subject(kind: String(parts[0]), number: id)
    }
    return filter
  }

  /// A stream of server-sent events; `produce` sends named values, and nil where only a sign of life is due.
  static func events(
    _ produce: @escaping @Sendable (_ send: (String?, any Encodable) async throws -> Void) async throws -> Void
  ) -> Response {
    .stream(contentType: "text/event-stream") { send in
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      try await produce { name, value in
        guard let name else {
          await send(ByteBuffer(string: ": alive\n\n"))
          return
        }
        let json = String(decoding: try encoder.encode(value), as: UTF8.self)
        await send(ByteBuffer(string: "event: \(name)\ndata: \(json)\n\n"))
      }
    }
  }

  /// One element at once, one at each change that matters, and one every `heartbeat`.
  static func wakeUps(
    _ services: Services, for matters: @escaping @Sendable (Change) -> Bool
  ) -> AsyncStream<Void> {
    let bell = Bell()
    let token = services.hub.listen { if matters($0) { bell.ring() } }
    bell.ring()
    return AsyncStream {
      if Task.isCancelled { return nil }
      await bell.sleep(atMost: heartbeat)
      _ = token
      return Task.isCancelled ? nil : ()
    }
  }
}

extension Change {
  /// Whether it concerns some attempt.
  var isAttempt: Bool {
    if case .attempt = self { return true }
    return false
  }
}
