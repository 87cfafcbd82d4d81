import Domain
import Testing

@testable import Daemon

@Suite struct ProbeScheduleTests {
  private let start = ContinuousClock.now
  private let interval = Duration.seconds(15)

  private func known(_ numbers: ClosedRange<Int64>, drained: Set<Int64> = []) -> [ProbeSchedule.Known] {
    numbers.map { .init(id: NodeID($0), isDrained: drained.contains($0)) }
  }

  private func expectDue(
    _ schedule: inout ProbeSchedule, _ numbers: Set<Int64>, at now: ContinuousClock.Instant,
    _ location: SourceLocation = #_sourceLocation
  ) {
    let due = schedule.takeDue(at: now)
    #expect(due == Set(numbers.map { NodeID($0) }), sourceLocation: location)
  }

  @Test func aNodeThatHangsDelaysNoOther() {
    var schedule = ProbeSchedule(interval: interval)
    schedule.know(known(1...2), at: start)
    expectDue(&schedule, [1, 2], at: start)
    _ = schedule.probed(NodeID(2), answered: true, at: start)
    // The first one hangs, for ever.
    for round in 1...3 {
      let now = start + interval * round
      #expect(schedule.pause(from: now - interval) == interval)
      expectDue(&schedule, [2], at: now)
      _ = schedule.probed(NodeID(2), answered: true, at: now)
    }
  }

  @Test func asksANewOneAndOneThatIsBackAtOnce() {
    var schedule = ProbeSchedule(interval: interval)
    schedule.know(known(1...1, drained: [1]), at: start)
    _ = schedule.takeDue(at: start)
    _ = schedule.probed(NodeID(1), answered: true, at: start)
    schedule.know(known(1...2, drained: [1]), at: start)
    expectDue(&schedule, [2], at: start)
    schedule.know(known(1...2), at: start)
    expectDue(&schedule, [1], at: start)
    // Drained and back while it was being asked: what it said before may be old.
    schedule.know(known(1...2, drained: [2]), at: start)
    schedule.know(known(1...2), at: start)
    _ = schedule.probed(NodeID(2), answered: true, at: start)
    #expect(schedule.hasWaiting(at: start))
    expectDue(&schedule, [2], at: start)
    // Nothing is to be asked that was removed.
    schedule.know(known(1...1), at: start)
    _ = schedule.probed(NodeID(1), answered: true, at: start)
    _ = schedule.probed(NodeID(2), answered: true, at: start)
    schedule.know(known(1...1), at: start)
    expectDue(&schedule, [1], at: start + interval)
  }

  @Test func asksTheNodesOfALeaseThatBeginsAtOnceAndOftenUntilTheyAnswer() {
    var schedule = ProbeSchedule(interval: interval)
    schedule.know(known(1...2), at: start)
    expectDue(&schedule, [1, 2], at: start)
    for node in 1...2 { _ = schedule.probed(NodeID(Int64(node)), answered: true, at: start) }
    var now = start + .seconds(5)
    schedule.know(leased: [NodeID(1)], at: now)
    expectDue(&schedule, [1], at: now)
    // It is on its way up: asked every two seconds, it becomes SUSPECT and not DEAD.
    for miss in 1...30 {
      let state = schedule.probed(NodeID(1), answered: false, at: now)
      #expect(state == (miss < 2 ? nil : .suspect))
      now += .seconds(2)
      schedule.know(leased: [NodeID(1)], at: now)
      #expect(schedule.takeDue(at: now).contains(NodeID(1)))
    }
    _ = schedule.probed(NodeID(1), answered: true, at: now)
    #expect(!schedule.takeDue(at: now + .seconds(2)).contains(NodeID(1)))
    #expect(schedule.takeDue(at: now + interval).contains(NodeID(1)))
    // One that falls silent later is asked as any other.
    _ = schedule.probed(NodeID(1), answered: false, at: now + interval)
    #expect(!schedule.takeDue(at: now + interval + .seconds(2)).contains(NodeID(1)))
  }

  @Test func thoseThatAreSilentTakeNoPlaceFromOthers() {
    var schedule = ProbeSchedule(interval: interval, places: 2)
    schedule.know(known(1...4), at: start)
    for expected in [[1, 2], [3, 4]] as [Set<Int64>] {
      expectDue(&schedule, expected, at: start)
      expectDue(&schedule, [], at: start)
      for node in expected { _ = schedule.probed(NodeID(node), answered: node == 4, at: start) }
    }
    let later = start + interval
    expectDue(&schedule, [4, 1, 2], at: later)
    #expect(schedule.hasWaiting(at: later))
    _ = schedule.probed(NodeID(4), answered: true, at: later)
    expectDue(&schedule, [], at: later)
    _ = schedule.probed(NodeID(1), answered: false, at: later)
    expectDue(&schedule, [3], at: later)
  }

  @Test func silenceLeadsDownTheListAndOneAnswerBack() {
    var schedule = ProbeSchedule(interval: interval)
    schedule.know(known(1...1), at: start)
    var now = start
    for miss in 1...20 {
      expectDue(&schedule, [1], at: now)
      let next = schedule.probed(NodeID(1), answered: false, at: now)
      #expect(next == (miss >= 20 ? .dead : miss >= 2 ? .suspect : nil))
      now += interval
    }
    _ = schedule.takeDue(at: now)
    let back = schedule.probed(NodeID(1), answered: true, at: now)
    _ = schedule.takeDue(at: now + interval)
    let missed = schedule.probed(NodeID(1), answered: false, at: now + interval)
    #expect(back == nil && missed == nil)
  }
}
