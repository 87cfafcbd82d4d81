import Domain
import Postgres
import Store
import Testing

@Suite(.timeLimit(.minutes(5))) struct SweepTests {
  @Test func letsOneSweepAtATime() async throws {
    try await StoreFixture.with { f in
      let outer = try await f.store.sweeping(by: "user:ada") {
        try await f.store.sweeping(by: "user:bob") { Issue.record("two sweeps at once") }
      }
      guard case .done(let inner) = outer, case .underWay(let holder?) = inner else {
        Issue.record("the second sweep was not told who sweeps: \(outer)")
        return
      }
      #expect(holder.name == "user:ada")
      #expect(holder.since <= (try await f.store.now()))
    }
  }

  @Test func endsTheTurnOfASweepThatFails() async throws {
    struct Trouble: Error {}
    try await StoreFixture.with { f in
      await #expect(throws: Trouble.self) {
        _ = try await f.store.sweeping(by: "user:ada") { throw Trouble() }
      }
      guard case .done(let value) = try await f.store.sweeping(by: "user:bob", { 7 }) else {
        Issue.record("the turn did not end")
        return
      }
      #expect(value == 7)
    }
  }

  @Test func readsBackWhatWasNotReadForLongest() async throws {
    try await StoreFixture.with { f in
      let attempt = try await f.run(f.job(), f.lease("exp", [f.node("n1")]))
      var ids: [CheckpointID] = []
      for step in [10, 20, 30] as [Int64] { ids.append(try await f.commit(attempt.id, step: step).checkpoint) }
      #expect(try await f.store.leastRecentlyVerified(limit: 10).map(\.id) == ids)
      #expect(try await f.store.markVerified(ids[0]) == .done(ids[0]))
      #expect(try await f.store.checkpoint(ids[0]).verifiedAt != nil)
      // The next sweep begins where this one stopped.
      #expect(try await f.store.leastRecentlyVerified(limit: 10).map(\.id) == [ids[1], ids[2], ids[0]])
      _ = try await f.store.markCorrupt(ids[1], detail: "a flipped byte", by: f.actor)
      #expect(try await f.store.markVerified(ids[1]) == .stale)
      #expect(try await f.store.leastRecentlyVerified(project: f.project, limit: 1).map(\.id) == [ids[2]])
      #expect(try await f.store.leastRecentlyVerified(project: ProjectID(99), limit: 1).isEmpty)
      #expect(try await f.store.durableCheckpointCount() == 2)
      #expect(try await f.store.durableCheckpointCount(project: ProjectID(99)) == 0)
    }
  }

  @Test func remembersHowFarSweepsHaveCome() async throws {
    try await StoreFixture.with { f in
      #expect(try await f.store.sweepPlace() == JobID(0))
      #expect(try await f.store.moveSweepPlace(to: JobID(7), by: f.epoch) == .done(JobID(7)))
      let next = try #require(try await f.store.takeControl(holder: "test", patience: .zero).value)
      #expect(try await f.store.moveSweepPlace(to: JobID(8), by: f.epoch) == .stale)
      #expect(try await f.store.sweepPlace() == JobID(7))
      #expect(try await f.store.moveSweepPlace(to: JobID(0), by: next) == .done(JobID(0)))
    }
  }

  @Test func keepsTheReportsOfSweeps() async throws {
    try await StoreFixture.with { f in
      let start = try await f.store.now()
      let id = try #require(
        try await f.store.recordSweep(startedAt: start, report: "{\"pruned\": 2}", by: f.epoch).value)
      let sweep = try #require(try await f.store.sweeps().first)
      #expect(sweep.id == id)
      #expect(sweep.startedAt == start)
      #expect(sweep.report == "{\"pruned\": 2}")
    }
  }
}
