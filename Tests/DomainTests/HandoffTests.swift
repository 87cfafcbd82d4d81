import Domain
import Testing

@Suite struct HandoffTests {
  private let zero = Timestamp(secondsSinceEpoch: 1_795_284_000)

  private func at(_ seconds: Double) -> Timestamp { zero + .seconds(seconds) }

  private func attempt(_ number: Int, lease: (Double, Double), created: Double) throws -> AttemptMoments {
    AttemptMoments(
      number: number, lease: try #require(Period(start: at(lease.0), end: at(lease.1))), createdAt: at(created))
  }

  /// Attempt 1 steps from 5 to 90 of a lease that ends at 100.
  private func first() throws -> AttemptMoments {
    var first = try attempt(1, lease: (0, 100), created: 1)
    first.firstStepAt = at(5)
    first.lastStepAt = at(90)
    return first
  }

  /// Attempt 2 goes on in a lease from `start`, given at `created`.
  private func second(start: Double, created: Double) throws -> AttemptMoments {
    var second = try attempt(2, lease: (start, start + 100), created: created)
    second.resumed = .init(localAt: at(91), durableAt: at(93))
    second.launchedAt = at(created + 4)
    second.restore = .seconds(1)
    second.runningAt = at(created + 4.5)
    second.firstStepAt = at(created + 6)
    second.lastStepAt = at(created + 50)
    return second
  }

  private func lengths(_ handoff: Handoff) -> [Double] { handoff.parts.map(\.length.seconds) }

  @Test func splitsAHandoffOverAGapIntoItsParts() throws {
    let handoffs = Handoff.all(of: [try first(), try second(start: 120, created: 120.5)])
    let handoff = try #require(handoffs.first)
    #expect(handoffs.count == 1)
    #expect(handoff.parts.map(\.step) == Handoff.Step.allCases)
    // The wait is the margin of the last save, 93 to 100, and what passed in the next lease.
    #expect(lengths(handoff) == [1, 2, 20, 7.5, 3, 1, 0.5, 1.5])
    #expect(handoff.total == .seconds(36.5))
    #expect(handoff.besideGap == .seconds(16.5))
    #expect("\(handoff)".hasPrefix("17s beside a gap of 20s: save 1s, upload 2s, wait 7.5s, staging 3s"))
  }

  @Test func hasNoGapWhereLeasesOverlap() throws {
    let handoff = try #require(Handoff.all(of: [try first(), try second(start: 80, created: 93.25)]).first)
    #expect(lengths(handoff) == [1, 2, 0, 0.25, 3, 1, 0.5, 1.5])
    #expect(handoff.total == handoff.besideGap)
    #expect(!"\(handoff)".contains("gap"))
  }

  @Test func countsAnAttemptThatMadeNoStepAsWaiting() throws {
    let failed = try attempt(2, lease: (110, 200), created: 111)
    var third = try second(start: 110, created: 140)
    third.number = 3
    let handoffs = Handoff.all(of: [try first(), failed, third])
    #expect(handoffs.map(\.to) == [3])
    #expect(handoffs.map(\.from) == [1])
    #expect(handoffs.first?.length(of: .wait) == .seconds(37))
  }

  @Test func takesNoTimeForASaveBeforeTheLastStep() throws {
    // The nodes were lost: it goes on from a checkpoint of earlier.
    var next = try second(start: 90, created: 95)
    next.resumed = .init(localAt: at(60), durableAt: at(61))
    let handoff = try #require(Handoff.all(of: [try first(), next]).first)
    #expect(lengths(handoff) == [0, 0, 0, 5, 3, 1, 0.5, 1.5])
  }

  @Test func addsUpWhateverIsUnknown() throws {
    var next = try attempt(2, lease: (120, 220), created: 121)
    next.firstStepAt = at(130)
    next.restore = .seconds(50)
    let handoff = try #require(Handoff.all(of: [try first(), next]).first)
    #expect(handoff.parts.reduce(.zero) { $0 + $1.length } == handoff.total)
    #expect(handoff.length(of: .firstStep) == .seconds(9))
    #expect(handoff.length(of: .restore) == .zero)
  }

  @Test func isNoneWithoutASecondAttemptThatStepped() throws {
    #expect(Handoff.all(of: [try first()]).isEmpty)
    #expect(Handoff.all(of: [try first(), try attempt(2, lease: (110, 200), created: 111)]).isEmpty)
    #expect(Handoff.all(of: []).isEmpty)
  }

  @Test func takesPartInEveryHandoffAfterTheFirst() throws {
    var third = try second(start: 180, created: 190)
    third.number = 3
    third.resumed = .init(localAt: at(172), durableAt: at(175))
    let handoffs = Handoff.all(of: [try first(), try second(start: 120, created: 120.5), third])
    #expect(handoffs.map { [$0.from, $0.to] } == [[1, 2], [2, 3]])
  }
}
