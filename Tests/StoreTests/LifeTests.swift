import Domain
import Postgres
import Store
import Testing

/// Whatever is done in whatever order, the invariants hold: `StoreFixture.with` looks at the end, this after each move.
@Suite(.timeLimit(.minutes(10))) struct LifeTests {
  @Test(arguments: 1...8 as ClosedRange<UInt64>)
  func noOrderOfMovesBreaksAnInvariant(seed: UInt64) async throws {
    try await StoreFixture.with { f in
      var life = Life(f: f, name: "l", random: SplitMix64(state: seed))
      for number in 0..<3 { life.nodes.append(try await f.node("n\(number)")) }
      for move in 0..<60 {
        let done = try await life.move()
        let violations = try await f.store.invariantViolations()
        try #require(violations == [], "move \(move): \(done)")
      }
    }
  }

  @Test(arguments: 1...10 as ClosedRange<UInt64>)
  func noMovesAtOnceBreakAnInvariant(seed: UInt64) async throws {
    try await StoreFixture.with { f in
      var nodes: [NodeID] = []
      for number in 0..<3 { nodes.append(try await f.node("n\(number)")) }
      try await withThrowingTaskGroup(of: Void.self) { group in
        for task in 0..<4 as Range<UInt64> {
          let random = SplitMix64(state: seed &* 100 &+ task)
          group.addTask { [nodes] in
            var life = Life(f: f, name: "l\(task)-", random: random, nodes: nodes)
            for _ in 0..<40 { _ = try await life.move() }
          }
        }
        try await group.waitForAll()
      }
    }
  }
}

/// SplitMix64 (Steele, Lea, Flood 2014): the failing argument is the seed.
private struct SplitMix64: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}

/// A site to which anything may happen.
private struct Life {
  let f: StoreFixture
  let name: String
  var random: SplitMix64
  var nodes: [NodeID] = []
  var leases = 0
  var step: Int64 = 0

  /// Does something, whether or not it makes sense now, and says what.
  mutating func move() async throws -> String {
    let choice = Int.random(in: 0..<12, using: &random)
    let attempt = try await f.store.liveAttempts().randomElement(using: &random)
    switch choice {
    case 0: _ = try await f.job()
    case 1: try await makeLease()
    case 2, 3, 4: try await start()
    case 5: try await endLease()
    default:
      guard let attempt else { return "nothing" }
      try await move(attempt, choice)
    }
    return "choice \(choice)"
  }

  private mutating func makeLease() async throws {
    leases += 1
    do {
      _ = try await f.lease("\(name)\(leases)", [nodes.randomElement(using: &random) ?? nodes[0]])
    } catch let error as StoreError where error.code == "lease_overlap" {
      return
    }
  }

  private mutating func start() async throws {
    for unsettled in try await f.store.unsettledAttempts() {
      _ = try await f.store.markSettled(unsettled.id, by: f.epoch)
    }
    let (snapshot, _) = try await f.store.snapshot()
    guard let job = snapshot.waiting.randomElement(using: &random),
      let lease = snapshot.leases.randomElement(using: &random)
    else { return }
    let gpus = [[], [0], [1], [0, 1]].randomElement(using: &random) ?? []
    let shares = lease.nodes.map { Placement.Share(node: $0, gpus: gpus) }
    _ = try await f.store.start(
      Start(job: job.id, lease: lease.id, placement: Placement(shares: shares)), by: f.epoch)
  }

  private mutating func endLease() async throws {
    guard let lease = try await f.store.leases().randomElement(using: &random) else { return }
    if Bool.random(using: &random) {
      _ = try await f.store.deleteLease(lease.id, by: f.actor)
    } else {
      try await f.expire(lease.id)
      _ = try await f.store.terminateDueLeases(by: f.epoch)
    }
  }

  private mutating func move(_ attempt: AttemptRecord, _ choice: Int) async throws {
    step += Int64.random(in: 1...3, using: &random)
    switch choice {
    case 6: _ = try await f.store.markLaunching(attempt.id, masterPort: 29_500, by: f.epoch)
    case 7: _ = try await f.store.markRunning(attempt.id, by: f.epoch)
    case 8: _ = try await f.store.commitCheckpoint(.test(attempt.id, step: step), by: f.epoch)
    case 9: _ = try await f.ingest(attempt, [step - 1, step], from: attempt.nodes.first?.metricsOffset ?? 0)
    case 10:
      let outcome = AttemptOutcome.allCases.randomElement(using: &random) ?? .lost
      let ending = AttemptEnding(attempt: attempt.id, outcome: outcome, exitCode: 1)
      _ = try await f.store.endAttempt(ending, by: f.epoch)
    default:
      guard let latest = try await f.store.job(attempt.job).latestCheckpoint else { return }
      _ = try await f.store.markCorrupt(latest, detail: "a flipped byte", by: f.actor)
    }
  }
}
