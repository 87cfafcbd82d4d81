import Domain
import Testing

/// Checks the table of `State`: what is reachable from `first`, what ends, and what leads where.
private func check<State: StateMachine>(_: State.Type, from first: State, finals: Set<State>) {
  var reached: Set<State> = [first]
  var next = [first]
  while let state = next.popLast() {
    next += state.successors.filter { reached.insert($0).inserted }
  }
  #expect(reached == Set(State.allCases), "every state of \(State.self) is reachable from \(first)")
  #expect(Set(State.allCases.filter(\.isFinal)) == finals)
  for state in State.allCases {
    #expect(!state.canBecome(state), "\(state) follows itself")
    #expect(state.predecessors == State.allCases.filter { $0.successors.contains(state) })
    #expect(State(rawValue: state.rawValue) == state)
    #expect(state.rawValue == state.rawValue.uppercased())
  }
}

@Suite struct StateTests {
  @Test func jobs() { check(JobState.self, from: .pending, finals: [.completed, .failed, .timeout, .cancelled]) }
  @Test func attempts() { check(AttemptState.self, from: .staging, finals: [.ended]) }
  @Test func leases() { check(LeaseState.self, from: .pending, finals: [.terminated, .error]) }
  @Test func nodes() { check(NodeState.self, from: .absent, finals: []) }
  @Test func checkpoints() { check(CheckpointState.self, from: .local, finals: [.pruned]) }

  @Test func everyJobThatIsNotOverCanBeCancelled() {
    for state in JobState.allCases where !state.isFinal { #expect(state.canBecome(.cancelled), "\(state)") }
  }

  @Test func everyJobWithAnAttemptCanLoseItsNodes() {
    for state in JobState.allCases where state.hasAttempt {
      #expect(state.canBecome(.pending) && state.canBecome(.leaseWait), "\(state)")
    }
  }

  @Test func onlyWaitingJobsAreStaged() {
    #expect(JobState.staging.predecessors == JobState.allCases.filter(\.isWaiting))
    for state in JobState.allCases { #expect(!(state.isWaiting && state.hasAttempt)) }
  }

  @Test func anAttemptCanEndAtAnyMomentAndNeverComesBack() {
    for (place, state) in AttemptState.allCases.enumerated() {
      #expect(state == .ended || state.canBecome(.ended))
      for earlier in AttemptState.allCases.prefix(place) { #expect(!state.canBecome(earlier)) }
    }
  }

  @Test func nothingPrunedOrCorruptBecomesDurableAgain() {
    #expect(CheckpointState.durable.predecessors == [.local, .uploading])
  }
}
