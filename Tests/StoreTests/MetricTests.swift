import Domain
import Postgres
import Store
import Testing

@Suite(.timeLimit(.minutes(5))) struct MetricTests {
  @Test func takesEveryStretchInExactlyOnce() async throws {
    try await StoreFixture.with { f in
      let attempt = try await f.run(f.job(), f.lease("exp", [f.node("n1")]))
      #expect(try await f.ingest(attempt, [1, 2, 3], from: 0) == .done(3))
      #expect(try await f.ingest(attempt, [1, 2, 3], from: 0) == .stale)
      #expect(try await f.ingest(attempt, [], from: 3) == .done(0))
      #expect(try await f.ingest(attempt, [3, 4], from: 3) == .done(1))
      #expect(try await f.store.series(attempt.job, "loss").map(\.step) == [1, 2, 3, 4])
      let node = try #require(try await f.store.attempt(attempt.id).nodes.first)
      #expect(node.metricsOffset == 5)
      #expect(node.journalSequence == 4)
      #expect(try await f.store.attempt(attempt.id).firstStepAt != nil)
      #expect(try await f.store.metrics(of: attempt.job) == ["loss"])
    }
  }

  @Test func tellsTheMomentsOfAHandoff() async throws {
    try await StoreFixture.with { f in
      let lease = try await f.lease("exp", [f.node("n1")])
      let job = try await f.job()
      let first = try await f.run(job, lease)
      #expect(try await f.store.moments(of: job).map(\.lastStepAt) == [nil])
      _ = try await f.ingest(first, [1, 2], from: 0)
      let early = try #require(try await f.store.moments(of: job).first?.lastStepAt)
      _ = try await f.ingest(first, [3], from: 2)
      let late = try #require(try await f.store.moments(of: job).first?.lastStepAt)
      #expect(late > early)
      // Without values nothing was heard of a step.
      _ = try await f.ingest(first, [], from: 3)
      #expect(try await f.store.moments(of: job).first?.lastStepAt == late)
      _ = try await f.commit(first.id, step: 3)
      _ = try await f.end(first.id, .saved)
      // What is found once it is over says nothing about when it was computed.
      _ = try await f.ingest(first, [4], from: 3)
      #expect(try await f.store.moments(of: job).first?.lastStepAt == late)
      let second = try await f.run(job, lease)
      let node = try #require(second.nodes.first?.node)
      #expect(
        try await f.store.recordRestore(second.id, node: node, took: .seconds(2), by: f.epoch) == .done(second.id))
      #expect(try await f.store.recordRestore(second.id, node: NodeID(99), took: .zero, by: f.epoch) == .stale)
      _ = try await f.ingest(second, [5], from: 0)
      let moments = try await f.store.moments(of: job)
      #expect(moments.map(\.number) == [1, 2])
      #expect(moments.last?.restore == .seconds(2))
      let checkpoint = try #require(try await f.store.checkpoints(of: job).first)
      #expect(
        moments.last?.resumed
          == .init(localAt: checkpoint.createdAt, durableAt: try #require(checkpoint.durableAt)))
      let handoff = try #require(Handoff.all(of: moments).first)
      #expect(handoff.parts.reduce(.zero) { $0 + $1.length } == handoff.total)
      #expect(handoff.lastStepAt == late)
    }
  }

  @Test func ofManyThatBringTheSameStretchOneDoes() async throws {
    try await StoreFixture.with { f in
      let attempt = try await f.run(f.job(), f.lease("exp", [f.node("n1")]))
      let counts = try await withThrowingTaskGroup(of: Int?.self) { group in
        for _ in 0..<6 { group.addTask { try await f.ingest(attempt, [1, 2, 3], from: 0).value } }
        return try await group.reduce(into: []) { $0 += [$1].compactMap(\.self) }
      }
      #expect(counts == [3])
    }
  }

  @Test func theSameAttemptsLaterWordCounts() async throws {
    try await StoreFixture.with { f in
      let attempt = try await f.run(f.job(), f.lease("exp", [f.node("n1")]))
      _ = try await f.ingest(attempt, [1], from: 0)
      #expect(try await f.ingest(attempt, [1], from: 1) { _ in 7 } == .done(0))
      #expect(try await f.store.series(attempt.job, "loss").map(\.value) == [7])
      #expect(try await f.ingest(attempt, [2, 2], from: 2) { _ in .nan } == .done(1))
      #expect(try await f.store.series(attempt.job, "loss").last?.value.isNaN == true)
    }
  }

  @Test func aRestartMovesWhatItLostToTheArchive() async throws {
    try await StoreFixture.with { f in
      let lease = try await f.lease("exp", [f.node("n1")])
      let job = try await f.job()
      let first = try await f.run(job, lease)
      _ = try await f.ingest(first, [1, 2, 3, 4], from: 0)
      _ = try await f.commit(first.id, step: 2)
      _ = try await f.end(first.id, .lost)
      let second = try await f.run(job, lease)
      #expect(second.resumeStep == 2)
      #expect(try await f.store.series(job, "loss").map(\.step) == [1, 2])
      let archived = try await f.store.archivedPoints(of: job)
      #expect(archived.map(\.point.step) == [3, 4])
      #expect(archived.allSatisfy { $0.point.attemptNumber == 1 })
      // What the first still brings comes too late, and what the second says of a kept step changes nothing.
      #expect(try await f.ingest(first, [5], from: 4) == .stale)
      #expect(try await f.ingest(second, [2, 3, 4, 5], from: 0) { Double($0) * 10 } == .done(3))
      let series = try await f.store.series(job, "loss")
      #expect(series.map(\.step) == [1, 2, 3, 4, 5])
      #expect(series.map(\.attemptNumber) == [1, 1, 2, 2, 2])
      #expect(series.map(\.value) == [1, 2, 30, 40, 50])
    }
  }

  @Test func aRestartWithoutACheckpointBeginsTheCurveAnew() async throws {
    try await StoreFixture.with { f in
      let lease = try await f.lease("exp", [f.node("n1")])
      let job = try await f.job()
      let first = try await f.run(job, lease)
      _ = try await f.ingest(first, [0, 1], from: 0)
      _ = try await f.end(first.id, .lost)
      _ = try await f.start(job, lease)
      #expect(try await f.store.series(job, "loss").isEmpty)
      #expect(try await f.store.archivedPoints(of: job).count == 2)
    }
  }

  @Test func takesInWhatAnEndedAttemptSaidLast() async throws {
    try await StoreFixture.with { f in
      let attempt = try await f.run(f.job(), f.lease("exp", [f.node("n1")]))
      _ = try await f.end(attempt.id, .completed)
      #expect(try await f.ingest(attempt, [1], from: 0) == .done(1))
    }
  }

  @Test func thinsALongSeriesAndKeepsItsEnd() async throws {
    try await StoreFixture.with { f in
      let attempt = try await f.run(f.job(), f.lease("exp", [f.node("n1")]))
      _ = try await f.ingest(attempt, Array(1...1000), from: 0)
      let thin = try await f.store.series(attempt.job, "loss", maxPoints: 300)
      #expect(thin.count <= 300 && thin.count >= 100)
      #expect(thin.first?.step == 1 && thin.last?.step == 1000)
      #expect(thin.map(\.step) == thin.map(\.step).sorted())
      #expect(try await f.store.series(attempt.job, "loss", from: 5, to: 7).map(\.step) == [5, 6, 7])
      #expect(try await f.store.series(attempt.job, "accuracy").isEmpty)
    }
  }
}
