import Domain
import Testing

@testable import Daemon

@Suite struct TroublesTests {
  private let start = ContinuousClock.now

  @Test func doublesThePauseUpToTheLongest() {
    var troubles = Troubles<JobID>(firstPause: .seconds(1), longestPause: .seconds(10))
    let job = JobID(1)
    var now = start
    for seconds in [1, 2, 4, 8, 10, 10] {
      _ = troubles.failed(job, at: now, jitter: 0)
      #expect(troubles.nextTry(after: now) == now + .seconds(seconds))
      #expect(troubles.isResting(job, at: now))
      now += .seconds(seconds)
      #expect(!troubles.isResting(job, at: now))
      #expect(troubles.nextTry(after: now) == nil)
    }
    for _ in 0..<100 { _ = troubles.failed(job, at: now, jitter: 1) }
    #expect(troubles.nextTry(after: now) == now + .seconds(5))
  }

  @Test func isNewsOnceUntilItWorked() {
    var troubles = Troubles<JobID>()
    let news = [1, 1, 2, 1].map { troubles.failed(JobID($0), at: start, jitter: 0) }
    #expect(news == [true, false, true, false])
    troubles.isOver(JobID(1))
    #expect(troubles.concerned == [JobID(2)])
    let isNewsAgain = troubles.failed(JobID(1), at: start, jitter: 0)
    #expect(isNewsAgain)
    troubles.keep([JobID(1)])
    #expect(troubles.concerned == [JobID(1)])
  }

  @Test func oneThatRestsKeepsNoOtherFromBeingTried() {
    var troubles = Troubles<JobID>()
    _ = troubles.failed(JobID(1), at: start, jitter: 0)
    #expect(!troubles.isResting(JobID(2), at: start))
  }

  @Test func aDriverThatFailsIsTriedLaterAndLaterAndToldOfOnce() {
    let driven = DrivenAttempts()
    let attempt = AttemptID(1)
    #expect(driven.begin(attempt, at: start))
    #expect(!driven.begin(attempt, at: start))
    #expect(driven.fail(attempt, ranFrom: start, until: start, jitter: 0))
    #expect(!driven.begin(attempt, at: start))
    #expect(driven.nextTry(after: start) == start + .seconds(1))
    let later = start + .seconds(1)
    #expect(driven.begin(attempt, at: later))
    #expect(!driven.fail(attempt, ranFrom: later, until: later, jitter: 0))
    #expect(driven.nextTry(after: later) == later + .seconds(2))
    // One that worked for a while, and fails only now, begins anew.
    let muchLater = later + .seconds(100)
    #expect(driven.begin(attempt, at: later + .seconds(2)))
    #expect(driven.fail(attempt, ranFrom: later, until: muchLater, jitter: 0))
    #expect(driven.nextTry(after: muchLater) == muchLater + .seconds(1))
    #expect(driven.begin(attempt, at: muchLater + .seconds(1)))
    driven.end(attempt)
    #expect(driven.nextTry(after: muchLater) == nil)
    #expect(driven.begin(attempt, at: muchLater))
  }
}
