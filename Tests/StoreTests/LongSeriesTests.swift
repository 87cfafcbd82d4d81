import Domain
import Postgres
import Store
import Testing

/// Curves that are longer than a screen is wide, and what left them.
@Suite(.timeLimit(.minutes(5))) struct LongSeriesTests {
  private static let points = 200_000

  private func fill(_ f: StoreFixture, _ attempt: AttemptRecord) async throws {
    _ = try await f.ingest(attempt, Array(1...Int64(Self.points)), from: 0) { step in
      switch step {
      case 77_777: 1e9
      case 123_456: -1e9
      case 150_000: .nan
      case 150_001: .infinity
      default: Double(step % 997)
      }
    }
  }

  @Test func keepsEverySpikeOfALongCurve() async throws {
    try await StoreFixture.with { f in
      let attempt = try await f.run(f.job(), f.lease("exp", [f.node("n1")]))
      try await fill(f, attempt)
      let extent = try await f.store.seriesExtent(attempt.job, "loss")
      #expect(extent?.points == Self.points && extent?.firstStep == 1 && extent?.lastStep == Int64(Self.points))
      for limit in [20, 200, 2000] {
        let thin = try await f.store.series(attempt.job, "loss", maxPoints: limit)
        #expect(thin.count <= limit + 2 && thin.count >= limit / 2, "\(limit): \(thin.count)")
        #expect(thin.first?.step == 1 && thin.last?.step == Int64(Self.points))
        #expect(zip(thin, thin.dropFirst()).allSatisfy { $0.step < $1.step })
        #expect(thin.contains { $0.step == 77_777 && $0.value == 1e9 })
        #expect(thin.contains { $0.step == 123_456 && $0.value == -1e9 })
        #expect(thin.contains { !$0.value.isFinite })
      }
      let part = try await f.store.series(attempt.job, "loss", from: 77_000, to: 124_000, maxPoints: 100)
      #expect(part.first?.step == 77_000 && part.last?.step == 124_000)
      #expect(part.map(\.value).max() == 1e9 && part.map(\.value).min() == -1e9)
      let exact = try await f.store.exactSeries(attempt.job, "loss", from: 149_999, to: 150_002, limit: 3)
      #expect(exact.map(\.step) == [149_999, 150_000, 150_001])
      #expect(try await f.store.seriesExtent(attempt.job, "loss", from: 5, to: 7)?.points == 3)
      #expect(try await f.store.seriesExtent(attempt.job, "loss", from: 300_000) == nil)
      #expect(try await f.store.series(attempt.job, "loss", from: .max, to: .max).isEmpty)
    }
  }

  @Test func whatWasLostLeavesTheCurveAndCanBeReadPageByPage() async throws {
    try await StoreFixture.with { f in
      let lease = try await f.lease("exp", [f.node("n1")])
      let job = try await f.job()
      let first = try await f.run(job, lease)
      _ = try await f.ingest(first, Array(1...5000), from: 0)
      _ = try await f.commit(first.id, step: 3000)
      _ = try await f.end(first.id, .lost)
      let second = try await f.run(job, lease)
      #expect(try await f.store.seriesExtent(job, "loss")?.lastStep == 3000)
      #expect(try await f.ingest(second, Array(3001...9000), from: 0) == .done(6000))
      #expect(try await f.store.stepsRedone(of: job) == 2000)
      #expect(try await f.store.stepsRedone(of: job, "loss") == [2: 2000])
      let page = try await f.store.archivedPoints(of: job, "loss", from: 3500, limit: 10)
      #expect(page.map(\.point.step) == Array(3500...3509))
      #expect(page.allSatisfy { $0.point.attemptNumber == 1 && $0.metric == "loss" })
      let boundaries = try await f.store.boundaries(of: job, "loss")
      #expect(boundaries.map(\.before.step) == [3000] && boundaries.map(\.after.step) == [3001])
      #expect(boundaries.first?.before.attemptNumber == 1 && boundaries.first?.after.attemptNumber == 2)
      // Both ends of the boundary are there, however thin the curve is.
      let thin = try await f.store.series(job, "loss", maxPoints: 20)
      #expect(thin.contains { $0.step == 3000 } && thin.contains { $0.step == 3001 })
    }
  }

  @Test func comesInAnyOrderAndTwiceInABatch() async throws {
    try await StoreFixture.with { f in
      let attempt = try await f.run(f.job(), f.lease("exp", [f.node("n1")]))
      #expect(try await f.ingest(attempt, [10, 12, 11, 12, 5000, 3], from: 0) == .done(5))
      #expect(try await f.ingest(attempt, [4, 5000, 6000], from: 6) { Double($0) + 0.5 } == .done(2))
      let series = try await f.store.series(attempt.job, "loss")
      #expect(series.map(\.step) == [3, 4, 10, 11, 12, 5000, 6000])
      #expect(series.map(\.value) == [3, 4.5, 10, 11, 12, 5000.5, 6000.5])
    }
  }

  @Test func refusesAPointOfNoAttempt() async throws {
    try await StoreFixture.with { f in
      let attempt = try await f.run(f.job(), f.lease("exp", [f.node("n1")]))
      let code = try await postgresCode {
        try await f.pool.execute(
          """
          INSERT INTO metric_point (job_id, metric, step, value, attempt_number, recorded_at)
          VALUES (\(attempt.job), 'loss', 1, 1, 99, clock_timestamp())
          """)
      }
      #expect(code == .foreignKeyViolation)
    }
  }
}
