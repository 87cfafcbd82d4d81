import Domain
import Postgres
import Store
import Testing

@Suite(.timeLimit(.minutes(5))) struct EventStreamTests {
  /// All lines after `cursor`, page by page, once nothing is open any more.
  private func readAll(
    _ f: StoreFixture, after start: EventCursor, _ filter: EventFilter = EventFilter(), limit: Int = 200
  ) async throws -> [EventPage.Line] {
    var lines: [EventPage.Line] = []
    var cursor = start
    while true {
      let page = try await f.store.events(after: cursor, filter, limit: limit)
      lines += page.lines
      cursor = page.next
      if !page.hasMore { return lines }
    }
  }

  @Test func noLineAppearsBehindOneThatWasRead() async throws {
    try await StoreFixture.with { f in
      var cursor = try await f.store.endOfEvents()
      _ = try await readAll(f, after: cursor)
      let seen: [EventPage.Line] = try await f.pool.withTransaction { transaction in
        _ = try await transaction.execute(
          "INSERT INTO event (actor, action, subject_kind, subject_id) VALUES ('ada', 'test.slow', 'job', 1)")
        // Drawn later, there earlier; not of this task, which is in a transaction.
        let page = try await Task.detached { [cursor] in
          _ = try await f.store.addNode(.test("n1"), by: f.actor)
          return try await f.store.events(after: cursor, limit: 200)
        }.value
        #expect(page.hasMore)
        cursor = page.next
        return page.lines
      }
      let actions = (seen + (try await readAll(f, after: cursor))).map(\.record.action)
      #expect(actions.suffix(2) == ["test.slow", "node.add"])
      #expect(Set(actions).count == actions.count)
    }
  }

  @Test func manyLinesComeOnceAndInOneOrder() async throws {
    try await StoreFixture.with { f in
      let start = try await f.store.endOfEvents()
      for number in 0..<23 { _ = try await f.job("job-\(number)") }
      var submitted = EventFilter()
      submitted.action = "job.submit"
      let lines = try await readAll(f, after: start, submitted, limit: 5)
      #expect(lines.count == 23)
      #expect(lines.map(\.record.subject.id) == lines.map(\.record.subject.id).sorted())
      let other = try await readAll(f, after: start, submitted, limit: 200)
      #expect(other == lines)
      // A reader that comes back goes on behind what it had.
      let place = try #require(EventCursor("\(lines[9].cursor)"))
      let rest = try await readAll(f, after: place, submitted, limit: 5)
      #expect(rest == Array(lines[10...]))
    }
  }

  @Test func showsOnlyWhatTheFilterLetsThrough() async throws {
    try await StoreFixture.with { f in
      let start = try await f.store.endOfEvents()
      _ = try await f.node("n1")
      let job = try await f.job()
      var filter = EventFilter()
      filter.project = f.project
      filter.subject = Subject(job)
      let found = try await readAll(f, after: start, filter)
      #expect(found.map(\.record.action) == ["job.submit"])
    }
  }

  @Test(arguments: ["", "7", "7-", "-7", "7-8-9", "a-b", "99999999999999999999-1"])
  func refusesAPlaceThatIsNone(text: String) {
    #expect(EventCursor(text) == nil)
  }
}
