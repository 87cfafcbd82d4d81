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
  /// So many lines of the audit log are read at a time.
  private static let pageMost = 200

  static let all: [Route] = [
    Route(
      method: .get, path: "/jobs/{job}/logs", access: .viewer,
      summary: "What a rank wrote; with follow=true as it does, from attempt to attempt"
    ) { call in
      let (reader, number) = try await logReader(call, follows: call.flag("follow"))
      return .stream(contentType: "text/plain; charset=utf-8") { send in
        try await reader.read(attempt: number) { piece, _ in
          await send(ByteBuffer(bytes: piece.heading.map { Array($0.utf8) } ?? piece.bytes))
        }
      }
    },
    Route(
      method: .get, path: "/jobs/{job}/logs/stream", access: .viewer,
      summary:
        "Server-sent events: `log` with a LogPiece, to the end of the job; a reader that lost it goes on where it was"
    ) { call in
      let (reader, number) = try await logReader(call, follows: true)
      let place = try call.lastEventID.map { text in
        guard let place = LogPlace(text), number == nil || place.attempt == number else {
          throw APIFailure(.badRequest, "'\(text)' is no place in this log: send the id of the last event that came")
        }
        return place
      }
      return events { send in
        try await reader.read(attempt: number, after: place) { piece, behind in
          try await send(SentEvent(name: "log", value: piece, id: "\(behind)"))
        }
        try await send(SentEvent(name: "log", value: LogPiece(isEnd: true)))
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
          // What would be lost grows with every moment, and is no news by itself.
          var news = view
          news.loss = nil
          if news != last {
            last = news
            try await send(SentEvent(name: "job", value: view))
          }
          if view.state.isFinal { return }
        }
      }
    },
    Route(
      method: .get, path: "/events", access: .viewer,
      summary: "The audit log, newest first; with `after` the lines that come next",
      gives: Listing<EventView>.self
    ) { call in
      var filter = try filter(call)
      let limit = try call.number("limit", within: 1...1000, standard: 100)
      if call.query("after") != nil {
        filter.after = EventID(Int64(try call.number("after", within: 0...Int.max, standard: 0)))
      }
      let records = try await call.services.store.events(filter, limit: limit)
      return try await .json(Listing(now: call.services.store.now(), items: records.map(EventView.init)))
    },
    Route(
      method: .get, path: "/events/stream", access: .viewer,
      summary: "Server-sent events: `event` with every line of the audit log, `change` when something else moved"
    ) { call in
      let filter = try filter(call)
      let services = call.services
      let place = try call.lastEventID.map { text in
        guard let place = EventCursor(text) else {
          throw APIFailure(.badRequest, "'\(text)' is no place in the log: send the id of the last event that came")
        }
        return place
      }
      return events { send in
        var cursor: EventCursor
        if let place { cursor = place } else { cursor = try await services.store.endOfEvents() }
        let bell = Bell()
        for await _ in wakeUps(services, bell, for: { _ in true }) {
          let page = try await services.store.events(after: cursor, filter, limit: pageMost)
          for line in page.lines {
            try await send(SentEvent(name: "event", value: EventView(line.record), id: "\(line.cursor)"))
          }
          cursor = page.next
          // Points of a curve, or how far staging is: worth a look, not a line of the log.
          if page.lines.isEmpty { try await send(SentEvent(name: "change", value: true)) }
          // A full page is followed by the next at once: whoever reads slowly is waited for.
          if page.lines.count < pageMost { try await Task.sleep(for: leastGap) }
          if page.hasMore { bell.ring() }
        }
      }
    },
  ]

  private static func logReader(_ call: Call, follows: Bool) async throws -> (LogReader, attempt: Int?) {
    let job = try await JobRoutes.find(call)
    let rank = try call.number("rank", within: 0...1_000_000, standard: 0)
    let number = try call.query("attempt").map { _ in try call.number("attempt", within: 1...1_000_000, standard: 1) }
    guard rank < job.spec.resources.nodesRange.upperBound * job.spec.launcher.processesPerNode else {
      throw APIFailure(.notFound, "\(job.id) has no rank \(rank)")
    }
    return (LogReader(services: call.services, job: job.id, rank: rank, follows: follows), number)
  }

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

  /// One server-sent event.
  struct SentEvent {
    var name: String
    var value: any Encodable
    /// What a reader comes back with to go on behind it.
    var id: String?

    /// As it is sent.
    func text() throws -> String {
      let encoder = JSONEncoder()
      encoder.nonConformingFloatEncodingStrategy = .convertToString(
        positiveInfinity: NonNumber.infinity, negativeInfinity: NonNumber.minusInfinity, nan: NonNumber.nan)
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      let json = String(decoding: try encoder.encode(value), as: UTF8.self)
      return (id.map { "id: \($0)\n" } ?? "") + "event: \(name)\ndata: \(json)\n\n"
    }
  }

  /// A stream of server-sent events, with a sign of life every `heartbeat`, so that both sides notice when the
  /// connection is dead.
  static func events(
    _ produce: @escaping @Sendable (_ send: @escaping @Sendable (SentEvent) async throws -> Void) async throws -> Void
  ) -> Response {
    .stream(contentType: "text/event-stream") { send in
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await produce { await send(ByteBuffer(string: try $0.text())) } }
        group.addTask {
          while true {
            await send(ByteBuffer(string: ": alive\n\n"))
            try await Task.sleep(for: heartbeat)
          }
        }
        defer { group.cancelAll() }
        try await group.next()
      }
    }
  }

  /// One element at once, one at each change that matters or ring of `bell`, and one every `heartbeat`.
  static func wakeUps(
    _ services: Services, _ bell: Bell = Bell(), for matters: @escaping @Sendable (Change) -> Bool
  ) -> AsyncStream<Void> {
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
