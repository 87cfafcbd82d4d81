import Domain
import Postgres
import Store
import Testing

@Suite(.timeLimit(.minutes(5))) struct ListingTests {
  @Test func namesEveryNodeAndProject() async throws {
    try await StoreFixture.with { f in
      let node = try await f.node("n1")
      #expect(try await f.store.nodeNames() == [node: "n1"])
      #expect(try await f.store.projectNames() == [f.project: "vision"])
    }
  }

  @Test func tellsHowFarJobsAreInOneStatement() async throws {
    try await StoreFixture.with { f in
      let lease = try await f.lease("exp", [f.node("n1")])
      let job = try await f.job()
      let idle = try await f.job("idle")
      let first = try await f.run(job, lease)
      _ = try await f.ingest(first, [1, 2, 3], from: 0)
      let checkpoint = try await f.commit(first.id, step: 3).checkpoint
      _ = try await f.end(first.id, .lost)
      let second = try await f.run(job, lease)
      let places = try await f.store.places(of: [job, idle, JobID(99)])
      #expect(Set(places.keys) == [job, idle])
      #expect(places[job]?.lastAttempt == second.id)
      #expect(places[job]?.lastStep == 3)
      #expect(places[job]?.checkpointAt == (try await f.store.checkpoint(checkpoint).durableAt))
      #expect(places[idle]?.lastAttempt == nil)
      let attempts = try await f.store.attempts([second.id, first.id, AttemptID(99)])
      #expect(attempts.map(\.id) == [first.id, second.id])
    }
  }

  @Test func sumsUpEachMetric() async throws {
    try await StoreFixture.with { f in
      let attempt = try await f.run(f.job(), f.lease("exp", [f.node("n1")]))
      _ = try await f.ingest(attempt, [1, 2, 5], from: 0)
      let summary = try #require(try await f.store.metricSummaries(of: attempt.job).first)
      #expect(summary.metric == "loss")
      #expect(summary.count == 3)
      #expect(summary.firstStep == 1)
      #expect(summary.lastStep == 5)
      #expect(summary.lastValue == 5)
    }
  }

  @Test func tellsWhichNodesHoldAVerifiedCopy() async throws {
    try await StoreFixture.with { f in
      let nodes = try await [f.node("n1"), f.node("n2")]
      let version = try await f.store.addDatasetVersion(.test(f.project, "digits", "1"), by: f.actor).version.id
      _ = try await f.store.setReplica(node: nodes[0], version: version, state: .verified, by: f.epoch)
      _ = try await f.store.setReplica(node: nodes[1], version: version, state: .staging, by: f.epoch)
      let copies = try #require(try await f.store.replicas(of: [version])[version])
      #expect(copies.map(\.node) == nodes && copies.map(\.state) == [.verified, .staging])
      #expect(copies[0].verifiedAt != nil && copies[1].verifiedAt == nil)
    }
  }

  @Test func learnsHowEarlyTheLastSaveHasToBegin() async throws {
    try await StoreFixture.with { f in
      let attempt = try await f.run(f.job(), f.lease("exp", [f.node("n1")]))
      #expect(try await f.store.lastSaveLead(of: attempt.job) == StartNeeds().lastSave)
      _ = try await f.commit(attempt.id, step: 1)
      // Of one that took 20 s: four times as much, and a second, as an agent keeps.
      #expect(try await f.store.lastSaveLead(of: attempt.job) == .seconds(81))
    }
  }

  @Test func findsAttemptsByTheTimeTheyTook() async throws {
    try await StoreFixture.with { f in
      let lease = try await f.lease("exp", [f.node("n1")])
      let job = try await f.job("first")
      let first = try await f.run(job, lease)
      _ = try await f.end(first.id, .lost)
      let second = try await f.run(job, lease)
      let between = try await f.store.attempt(second.id).createdAt
      let before = try #require(Period(start: first.createdAt - .hours(2), end: first.createdAt))
      let during = try #require(Period(start: first.createdAt - .hours(1), end: between))
      let after = try #require(Period(start: between + .hours(1), end: between + .hours(2)))
      #expect(try await f.store.attempts(in: before, limit: 10) == [])
      #expect(try await f.store.attempts(in: during, limit: 10).map(\.id) == [first.id])
      // One that runs may run on.
      #expect(try await f.store.attempts(in: after, limit: 10).map(\.id) == [second.id])
      let all = try #require(Period(start: before.start, end: after.end))
      #expect(try await f.store.attempts(in: all, project: f.project, limit: 10).map(\.id) == [first.id, second.id])
      #expect(try await f.store.attempts(in: all, limit: 1).map(\.id) == [second.id])
      let other = try await f.store.ensureProject("other")
      #expect(try await f.store.attempts(in: all, project: other, limit: 10) == [])
      #expect(try await f.store.jobNames(of: [job, JobID(99)]) == [job: "first"])
    }
  }

  @Test func knowsWhichProjectHasSentAnObject() async throws {
    try await StoreFixture.with { f in
      let other = try await f.store.ensureProject("other")
      let hashes = ["a", "b"].map { String(repeating: $0, count: 64) }
      for _ in 0..<2 { try await f.store.addBlob(hashes[0], project: f.project) }
      #expect(try await f.store.blobs(hashes, sentBy: f.project) == [hashes[0]])
      #expect(try await f.store.blobs(hashes, sentBy: other) == [])
    }
  }
}
