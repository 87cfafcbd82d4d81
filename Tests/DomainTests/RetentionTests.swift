import Domain
import TestKit
import Testing

private let now = Timestamp(secondsSinceEpoch: 1_795_284_000)

private func saved(
  _ id: Int64, step: Int64, attempt: Int = 1, value: Double? = nil, age: TimeSpan = .hours(9), held: Bool = false,
  state: CheckpointState = .durable
) -> RetentionCandidate {
  RetentionCandidate(
    id: CheckpointID(id), attemptNumber: attempt, step: step, state: state, durableAt: now - age, value: value,
    isHeld: held)
}

private func prunable(_ checkpoints: [RetentionCandidate], _ edit: (inout RetentionPolicy) -> Void) -> [Int64] {
  var policy = RetentionPolicy()
  policy.last = 1
  edit(&policy)
  return policy.prunable(checkpoints, at: now).map(\.rawValue)
}

@Suite struct RetentionTests {
  private let ten = (1...10).map { saved($0, step: $0 * 100, value: Double(abs($0 - 4))) }

  @Test func keepsTheNewestByAttemptThenStep() {
    #expect(prunable(ten) { $0.last = 3 } == [1, 2, 3, 4, 5, 6, 7])
    let again = ten + [saved(11, step: 300, attempt: 2)]
    #expect(prunable(again) { $0.last = 1 } == Array(1...10))
    #expect(prunable(ten) { $0.last = 0 } == Array(1...9))
  }

  @Test func keepsTheBestByTheMetric() {
    #expect(prunable(ten) { ($0.best, $0.metric) = (3, "loss") } == [1, 2, 6, 7, 8, 9])
    #expect(prunable(ten) { ($0.best, $0.metric, $0.mode) = (1, "accuracy", .max) } == Array(1...9))
    #expect(prunable(ten) { $0.best = 3 } == Array(1...9), "no metric, no best")
    let odd = [saved(1, step: 1, value: .nan), saved(2, step: 2), saved(3, step: 3, value: 7), saved(4, step: 4)]
    #expect(prunable(odd) { ($0.best, $0.metric) = (2, "loss") } == [1, 2])
  }

  @Test func keepsTheFirstAtOrAfterEachMilestone() {
    let odd = [95, 101, 150, 200, 299, 305, 310].enumerated().map { saved(Int64($0.offset), step: $0.element) }
    #expect(prunable(odd) { $0.everySteps = 100 } == [0, 2, 4])
    let redone = odd + [saved(9, step: 305, attempt: 2)]
    #expect(prunable(redone) { $0.everySteps = 100 } == [0, 2, 4, 5, 6])
  }

  @Test func keepsTheYoung() {
    let ages = (1...5).map { saved($0, step: $0, age: .hours(6 - Int($0))) }
    #expect(prunable(ages) { $0.youngerThan = .hours(3) } == [1, 2, 3])
  }

  @Test func leavesAloneWhatIsNotDurable() {
    let states = [saved(1, step: 1), saved(2, step: 2, state: .corrupt), saved(3, step: 3, state: .uploading)]
    #expect(prunable(states) { $0.last = 1 } == [])
  }

  @Test func asksFirstAndWorriesLater() {
    var policy = CheckpointPolicy()
    #expect(policy.freshness(newest: now - .days(9), at: now) == .fresh)
    policy.every = .minutes(10)
    #expect(policy.freshness(newest: now - .minutes(15), at: now) == .fresh)
    #expect(policy.freshness(newest: now - .minutes(16), at: now) == .due)
    #expect(policy.freshness(newest: now - .minutes(41), at: now) == .overdue)
  }
}

/// Runs and policies by chance; a failing seed names one of each.
@Suite struct RetentionPropertyTests {
  private static let seeds = UInt64(0)..<300

  private func world(_ seed: UInt64) -> (policy: RetentionPolicy, checkpoints: [RetentionCandidate]) {
    var random = SeededGenerator(seed: seed)
    var policy = RetentionPolicy()
    policy.last = Int.random(in: 0...4, using: &random)
    if Bool.random(using: &random) {
      (policy.best, policy.metric) = (Int.random(in: 0...3, using: &random), "loss")
      policy.mode = Bool.random(using: &random) ? .min : .max
    }
    if Bool.random(using: &random) { policy.everySteps = Int.random(in: 1...40, using: &random) }
    if Bool.random(using: &random) { policy.youngerThan = .hours(Int.random(in: 1...20, using: &random)) }
    let states: [CheckpointState] = [.durable, .durable, .durable, .durable, .local, .uploading, .corrupt, .pruned]
    let checkpoints = (0..<Int.random(in: 0...24, using: &random)).map { index in
      saved(
        Int64(index), step: Int64.random(in: 0...200, using: &random), attempt: Int.random(in: 1...3, using: &random),
        value: Bool.random(using: &random) ? Double(Int.random(in: 0...5, using: &random)) : nil,
        age: .hours(Int.random(in: 0...24, using: &random)), held: Int.random(in: 0..<6, using: &random) == 0,
        state: states[Int.random(in: 0..<states.count, using: &random)])
    }
    return (policy, checkpoints)
  }

  @Test(arguments: seeds) func neverTakesTheNewestNorAPinnedOneNorTheOnlyGoodOne(seed: UInt64) {
    let (policy, checkpoints) = world(seed)
    let pruned = Set(policy.prunable(checkpoints, at: now))
    let durable = checkpoints.filter { $0.state == .durable }
    let newest = durable.max { ($0.attemptNumber, $0.step, $0.id) < ($1.attemptNumber, $1.step, $1.id) }
    #expect(newest.map { !pruned.contains($0.id) } ?? true)
    #expect(durable.isEmpty || durable.contains { !pruned.contains($0.id) })
    #expect(pruned.isDisjoint(with: checkpoints.filter(\.isHeld).map(\.id)))
    #expect(pruned.isSubset(of: durable.map(\.id)))
  }

  @Test(arguments: seeds) func hasNothingMoreToTakeOnceItTook(seed: UInt64) {
    let (policy, checkpoints) = world(seed)
    let pruned = Set(policy.prunable(checkpoints, at: now))
    #expect(policy.prunable(checkpoints.filter { !pruned.contains($0.id) }, at: now) == [])
  }

  @Test(arguments: seeds) func takesNoLessLaterNorAfterAnotherSave(seed: UInt64) {
    let (policy, checkpoints) = world(seed)
    let pruned = Set(policy.prunable(checkpoints, at: now))
    #expect(pruned.isSubset(of: policy.prunable(checkpoints, at: now + .hours(7))))
    let next = saved(99, step: 210, attempt: 3, value: Double(seed % 7), age: .zero)
    #expect(pruned.isSubset(of: policy.prunable(checkpoints + [next], at: now)))
  }

  @Test(arguments: seeds) func takesNoMoreWhereMoreIsToBeKept(seed: UInt64) {
    let (policy, checkpoints) = world(seed)
    let pruned = Set(policy.prunable(checkpoints, at: now))
    var generous = policy
    generous.last += 1
    generous.best += 1
    generous.youngerThan = (policy.youngerThan ?? .zero) + .hours(2)
    #expect(Set(generous.prunable(checkpoints, at: now)).isSubset(of: pruned))
    let held = checkpoints.map { checkpoint in
      var held = checkpoint
      held.isHeld = checkpoint.isHeld || checkpoint.step % 3 == 0
      return held
    }
    #expect(Set(policy.prunable(held, at: now)).isSubset(of: pruned))
  }

  @Test(arguments: seeds) func doesNotDependOnTheOrder(seed: UInt64) {
    let (policy, checkpoints) = world(seed)
    #expect(policy.prunable(checkpoints.reversed(), at: now) == policy.prunable(checkpoints, at: now))
  }
}
