import Domain
import Postgres
import Store
import Testing

/// Two series compared where they lie, part by part, against the same made in memory.
@Suite(.timeLimit(.minutes(5))) struct SeriesTallyTests {
  private static let odd: [Double] = [
    .nan, .infinity, -.infinity, 0, -0.0, .greatestFiniteMagnitude, -.greatestFiniteMagnitude, .leastNonzeroMagnitude,
    -.leastNonzeroMagnitude, .leastNormalMagnitude / 8, 0.1, 0.1.nextUp,
  ]

  /// Some values at some of `steps`.
  private func values(_ steps: ClosedRange<Int64>, _ chance: inout Chance) -> [Int64: Double] {
    var values: [Int64: Double] = [:]
    for step in steps where chance.below(4) > 0 {
      values[step] = chance.below(3) == 0 ? Self.odd[chance.below(Self.odd.count)] : Double(chance.below(3))
    }
    return values
  }

  private func write(_ values: [Int64: Double], _ f: StoreFixture, _ attempt: AttemptRecord) async throws {
    _ = try await f.ingest(attempt, values.keys.sorted(), from: 0) { values[$0] ?? 0 }
  }

  @Test(arguments: [1, 2, 3, 4] as [UInt64])
  func isWhatItIsInMemoryHoweverLittleIsTakenAtATime(seed: UInt64) async throws {
    try await StoreFixture.with { f in
      let lease = try await f.lease("exp", [f.node("n1")])
      var chance = Chance(state: seed)
      let series = (0..<3).map { _ in values(0...40, &chance) }
      var jobs: [JobID] = []
      for (gpu, values) in series.prefix(2).enumerated() {
        let attempt = try await f.run(f.job(), lease, gpus: [gpu])
        try await write(values, f, attempt)
        jobs.append(attempt.job)
      }
      let whole = SeriesTally(series[0], series[1])
      for points in [1, 2, 7, 1000] {
        let found = try await f.store.tally("loss", .curve(of: jobs[0]), .curve(of: jobs[1]), pointsAtOnce: points)
        #expect("\(found)" == "\(whole)", "\(points) at a time")
        let attempts = jobs.map { SeriesSource.attempt(of: $0, number: 1) }
        let part = try await f.store.tally(
          "loss", attempts[0], attempts[1], after: 9, upTo: 30, pointsAtOnce: points)
        func cut(_ values: [Int64: Double]) -> [Int64: Double] { values.filter { (10...30).contains($0.key) } }
        #expect("\(part)" == "\(SeriesTally(cut(series[0]), cut(series[1])))", "\(points) at a time")
      }
      let none = try await f.store.tally("accuracy", .curve(of: jobs[0]), .curve(of: jobs[1]))
      #expect(none == SeriesTally())
    }
  }

  @Test func looksOnlyAtTheStepsOfAThirdWhereThereIsOne() async throws {
    try await StoreFixture.with { f in
      let lease = try await f.lease("exp", [f.node("n1", gpus: 3)])
      var sources: [SeriesSource] = []
      for (gpu, steps) in [[1, 2, 3, 4], [2, 3, 4, 5], [2, 4, 6]].enumerated() {
        let attempt = try await f.run(f.job(), lease, gpus: [gpu])
        _ = try await f.ingest(attempt, steps.map(Int64.init), from: 0) { Double($0) * (gpu == 1 && $0 == 4 ? 2 : 1) }
        sources.append(.attempt(of: attempt.job, number: 1))
      }
      let tally = try await f.store.tally("loss", sources[0], sources[1], at: sources[2], pointsAtOnce: 2)
      #expect(tally.compared == 2 && tally.equal == 1 && tally.onlyLeft == 0)
      #expect(tally.firstDifference == .init(step: 4, left: 4, right: 8))
    }
  }

  @Test func knowsWhatAnAttemptComputedAlsoWhereItLeftTheCurve() async throws {
    try await StoreFixture.with { f in
      let lease = try await f.lease("exp", [f.node("n1")])
      let job = try await f.job()
      let first = try await f.run(job, lease)
      _ = try await f.ingest(first, [9, 10, 11, 12], from: 0)
      _ = try await f.commit(first.id, step: 10)
      _ = try await f.end(first.id, .lost)
      let second = try await f.run(job, lease)
      _ = try await f.ingest(second, [11, 12, 13], from: 0) { Double($0) * 2 }
      let (old, new) = (SeriesSource.attempt(of: job, number: 1), SeriesSource.attempt(of: job, number: 2))
      for points in [1, 100] {
        let tally = try await f.store.tally("loss", old, new, after: 10, pointsAtOnce: points)
        #expect(tally == SeriesTally([11: 11, 12: 12], [11: 22, 12: 24, 13: 26]))
      }
      #expect(try await f.store.lastStep("loss", old) == 12)
      #expect(try await f.store.lastStep("loss", new, upTo: 12) == 12)
      #expect(try await f.store.lastStep("loss", old, after: 12) == nil)
    }
  }
}

/// SplitMix64 (Steele, Lea, Flood 2014): the failing argument is the seed.
private struct Chance {
  var state: UInt64

  mutating func below(_ bound: Int) -> Int {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return Int((mixed ^ (mixed >> 31)) % UInt64(bound))
  }
}
