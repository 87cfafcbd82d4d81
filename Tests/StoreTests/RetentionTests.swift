import Domain
import Postgres
import Store
import Testing

@Suite(.timeLimit(.minutes(5))) struct RetentionTests {
  @Test func holdsWhatIsNeededAndPrunesTheRest() async throws {
    try await StoreFixture.with { f in
      let lease = try await f.lease("exp", [f.node("n1")])
      let job = try await f.job()
      let first = try await f.run(job, lease)
      var ids: [CheckpointID] = []
      for step in [10, 20, 30] as [Int64] { ids.append(try await f.commit(first.id, step: step).checkpoint) }
      _ = try await f.end(first.id, .lost)
      let second = try await f.run(job, lease)
      for step in [40, 50] as [Int64] { ids.append(try await f.commit(second.id, step: step).checkpoint) }
      let candidates = try await f.store.retentionCandidates(of: job)
      #expect(candidates.map(\.id) == ids)
      #expect(candidates.map(\.attemptNumber) == [1, 1, 1, 2, 2])
      // The third is what the live attempt resumed from, the last is the latest.
      #expect(candidates.map(\.isHeld) == [false, false, true, false, true])
      let actor = Actor.controller(f.epoch)
      #expect(try await f.store.markPruned(ids[0], by: actor) == .done(ids[0]))
      #expect(try await f.store.markPruned(ids[0], by: actor) == .stale)
      #expect(try await f.store.markPruned(ids[2], by: actor) == .stale)
      #expect(try await f.store.markPruned(ids[4], by: actor) == .stale)
      #expect(try await f.store.markPruned(CheckpointID(99), by: actor) == .stale)
      #expect(try await f.store.checkpoint(ids[0]).state == .pruned)
      #expect(try await f.store.retentionCandidates(of: job).map(\.id) == Array(ids[1...]))
    }
  }

  @Test func holdsWhatNodesMayStillNameUntilAllOfTheAttemptIsKnown() async throws {
    try await StoreFixture.with { f in
      let lease = try await f.lease("exp", [f.node("n1")])
      let job = try await f.job()
      let first = try await f.run(job, lease)
      var ids: [CheckpointID] = []
      for step in [10, 20] as [Int64] { ids.append(try await f.commit(first.id, step: step).checkpoint) }
      _ = try await f.end(first.id, .lost)
      let second = try await f.run(job, lease)
      for step in [30, 40] as [Int64] { ids.append(try await f.commit(second.id, step: step).checkpoint) }
      // The newest of a live attempt is what its next one is based on, also where it rotted.
      _ = try await f.store.markCorrupt(ids[3], detail: "a flipped byte", by: f.actor)
      #expect(try await f.store.markPruned(ids[3], by: f.actor) == .stale)
      _ = try await f.store.endAttempt(AttemptEnding(attempt: second.id, outcome: .lost), by: f.epoch)
      for id in [ids[1], ids[3]] { #expect(try await f.store.markPruned(id, by: f.actor) == .stale) }
      #expect(try await f.store.retentionCandidates(of: job).map(\.isHeld) == [false, true, true])
      _ = try await f.store.markSettled(second.id, by: f.epoch)
      for id in [ids[1], ids[3]] { #expect(try await f.store.markPruned(id, by: f.actor) == .done(id)) }
    }
  }

  @Test func knowsTheMetricAtOrBeforeEachCheckpoint() async throws {
    try await StoreFixture.with { f in
      let lease = try await f.lease("exp", [f.node("n1")])
      let job = try await f.job()
      let first = try await f.run(job, lease)
      _ = try await f.ingest(first, [5, 10, 20], from: 0)
      let early = try await f.commit(first.id, step: 4).checkpoint
      let between = try await f.commit(first.id, step: 12).checkpoint
      let lost = try await f.commit(first.id, step: 20).checkpoint
      _ = try await f.store.markCorrupt(lost, detail: "a flipped byte", by: f.actor)
      _ = try await f.end(first.id, .lost)
      let second = try await f.run(job, lease)
      // From step 12 on all is computed again.
      _ = try await f.ingest(second, [15, 20], from: 0) { Double($0) * 2 }
      let newest = try await f.commit(second.id, step: 20).checkpoint
      let found = try await f.store.retentionCandidates(of: job, metric: "loss")
      #expect(found.map(\.id) == [early, between, newest])
      #expect(found.map(\.value) == [nil, 10, 40])
      #expect(try await f.store.retentionCandidates(of: job, metric: "accuracy").allSatisfy { $0.value == nil })
    }
  }

  @Test func keepsWhatAPersonPinnedUntilThePinIsTakenBack() async throws {
    try await StoreFixture.with { f in
      let attempt = try await f.run(f.job(), f.lease("exp", [f.node("n1")]))
      let old = try await f.commit(attempt.id, step: 10).checkpoint
      _ = try await f.commit(attempt.id, step: 20)
      #expect(try await f.store.pinCheckpoint(old, note: "for the paper", by: f.actor) == .done(old))
      #expect(try await f.store.pinCheckpoint(old, note: "figure 3", by: .user("bob")) == .done(old))
      let pins = try await f.store.pins(of: [old])
      #expect(pins[old]?.map(\.note) == ["figure 3"])
      #expect(pins[old]?.map(\.pinnedBy) == ["user:bob"])
      #expect(try await f.store.markPruned(old, by: f.actor) == .stale)
      let code = try await postgresCode {
        try await f.pool.execute("UPDATE checkpoint SET state = 'PRUNED' WHERE id = \(old)")
      }
      #expect(code == .checkViolation, "the database itself keeps it")
      #expect(try await f.store.unpinCheckpoint(old, by: f.actor) == .done(old))
      #expect(try await f.store.unpinCheckpoint(old, by: f.actor) == .stale)
      #expect(try await f.store.markPruned(old, by: f.actor) == .done(old))
      #expect(try await f.store.pinCheckpoint(old, by: f.actor) == .stale)
      let actions = try await f.store.events().filter { $0.subject == Subject(old) }.map(\.action)
      #expect(actions.prefix(4) == ["checkpoint.prune", "checkpoint.unpin", "checkpoint.pin", "checkpoint.pin"])
      await #expect(throws: StoreError.notFound(kind: "checkpoint", name: "checkpoint-99")) {
        try await f.store.pinCheckpoint(CheckpointID(99), by: f.actor)
      }
    }
  }

  @Test func keepsWhatAnotherRunResumesFromUntilThatIsOver() async throws {
    try await StoreFixture.with { f in
      let lease = try await f.lease("exp", [f.node("n1")])
      let attempt = try await f.run(f.job("base"), lease, gpus: [0])
      let old = try await f.commit(attempt.id, step: 10).checkpoint
      _ = try await f.commit(attempt.id, step: 20)
      let tuned = try await f.run(f.job("tuned"), lease, gpus: [1])
      #expect(try await f.store.pinCheckpoint(old, for: tuned.job.run, by: f.actor) == .done(old))
      #expect(try await f.store.unpinCheckpoint(old, by: f.actor) == .stale, "that is a person's")
      #expect(try await f.store.pins(of: [old])[old]?.map(\.run) == [tuned.job.run])
      #expect(try await f.store.markPruned(old, by: f.actor) == .stale)
      _ = try await f.end(tuned.id, .completed, exitCode: 0)
      #expect(try await f.store.pins(of: [old]).isEmpty)
      #expect(try await f.store.markPruned(old, by: f.actor) == .done(old))
    }
  }

  @Test func findsJobsThatAreOverAndFull() async throws {
    try await StoreFixture.with { f in
      let lease = try await f.lease("exp", [f.node("n1", gpus: 3)])
      func saved(_ name: String, gpu: Int, last: Int, _ steps: [Int64]) async throws -> JobID {
        let job = try await f.job(name) { $0.checkpoint.keep.last = last }
        let attempt = try await f.run(job, lease, gpus: [gpu])
        for step in steps { _ = try await f.commit(attempt.id, step: step) }
        return job
      }
      let full = try await saved("full", gpu: 0, last: 2, [10, 20, 30, 40])
      let modest = try await saved("modest", gpu: 1, last: 3, [10, 20, 30])
      let live = try await saved("live", gpu: 2, last: 1, [10, 20, 30])
      #expect(try await f.store.fullJobsThatAreOver(limit: 10).isEmpty)
      for job in [full, modest] {
        let attempt = try #require(try await f.store.job(job).attempt)
        #expect(try await f.end(attempt, .completed, exitCode: 0).state == .completed)
      }
      #expect(try await f.store.fullJobsThatAreOver(limit: 10) == [full])
      #expect(try await f.store.fullJobsThatAreOver(after: full, limit: 10) == [])
      // As a version wrote it that knew only the number of the newest.
      try await f.pool.execute(
        "UPDATE job SET spec = jsonb_set(spec, '{checkpoint}', '{\"keepLast\": 1}') WHERE id = \(modest)")
      #expect(try await f.store.fullJobsThatAreOver(limit: 10) == [full, modest])
      #expect(try await f.store.fullJobsThatAreOver(limit: 1) == [full])
      #expect(try await f.store.fullJobsThatAreOver(project: ProjectID(99), limit: 10) == [])
      let attempt = try #require(try await f.store.job(live).attempt)
      _ = try await f.end(attempt, .completed, exitCode: 0)
      #expect(try await f.store.fullJobsThatAreOver(after: full, limit: 10) == [modest, live])
    }
  }
}
