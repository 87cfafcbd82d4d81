import Testing
import Wire

@testable import Daemon

@Suite struct NoticeTests {
  @Test func asksForThoseThatWereNotToldUntilTheyAre() {
    var notice = Notice<Int>()
    notice.says(7)
    #expect(notice.untold(of: 0..<3) == [0, 1, 2])
    for rank in [0, 2] { notice.wasTold(rank, edition: notice.edition) }
    notice.says(7)
    #expect(notice.untold(of: 0..<3) == [1])
    notice.says(8)
    #expect(notice.untold(of: 0..<3) == [0, 1, 2])
  }

  @Test func whoTookAnOlderTextDoesNotKnowTheNewOne() {
    var notice = Notice<Int>()
    #expect(notice.untold(of: 0..<1) == [])
    notice.says(7)
    let edition = notice.edition
    notice.says(8)
    notice.wasTold(0, edition: edition)
    #expect(notice.untold(of: 0..<1) == [0])
  }

  @Test func aStopStaysTheFirstHoweverOftenOthersAreWanted() {
    var stops = StopLedger()
    stops.wants(.stop(.timeLimit))
    for rank in [0, 1] { stops.wasTold(rank, edition: stops.edition) }
    stops.wants(.stop(.cancelled))
    stops.wants(.stop(.timeLimit))
    #expect(stops.wanted == .stop(.timeLimit))
    #expect(stops.untold(of: 0..<2) == [])
  }

  @Test func aKillComesAfterAStopAndNothingAfterAKill() {
    var stops = StopLedger()
    stops.wants(.stop(.cancelled))
    stops.wasTold(0, edition: stops.edition)
    stops.wants(.kill(.cancelled))
    #expect(stops.untold(of: 0..<1) == [0])
    stops.wants(.stop(.timeLimit))
    #expect(stops.wanted == .kill(.cancelled))
  }
}

extension NoticeTests {
  @Test func thatTheChiefIsGoneIsToldAlsoToThoseWhoWereToldToStop() {
    var stops = StopLedger()
    stops.wants(.stop(.leaseEnd))
    for rank in [0, 1] { stops.wasTold(rank, edition: stops.edition) }
    stops.wants(.stop(.chiefGone))
    #expect(stops.untold(of: 0..<2) == [0, 1])
    stops.wants(.stop(.gangFailed))
    #expect(stops.wanted == .stop(.chiefGone))
    stops.wants(.kill(.cancelled))
    #expect(stops.wanted == .kill(.cancelled))
  }
}

@Suite struct TellingRoundsTests {
  private let stop = Telling(subject: .stop, edition: 1)
  private let lead = Telling(subject: .lead, edition: 1)

  @Test func tellsANodeOneThingAtATimeAndTheMostUrgentFirst() {
    var rounds = TellingRounds()
    #expect(rounds.next(for: 0, notKnown: [stop, lead]) == stop)
    #expect(rounds.next(for: 0, notKnown: [stop, lead]) == nil)
    rounds.ended(0)
    #expect(rounds.next(for: 0, notKnown: [lead]) == lead)
  }

  @Test func aNodeThatDoesNotAnswerKeepsNoOtherWaiting() {
    var rounds = TellingRounds()
    #expect(rounds.next(for: 0, notKnown: [stop]) == stop)
    rounds.beginAnew()
    #expect(rounds.next(for: 0, notKnown: [stop]) == nil)
    #expect(rounds.next(for: 1, notKnown: [stop]) == stop)
  }

  @Test func whatDidNotGetThroughKeepsNothingElseBackAndIsTriedAgainAtTheNextLook() {
    var rounds = TellingRounds()
    #expect(rounds.next(for: 0, notKnown: [stop, lead]) == stop)
    rounds.ended(0)
    #expect(rounds.next(for: 0, notKnown: [stop, lead]) == lead)
    rounds.ended(0)
    #expect(rounds.next(for: 0, notKnown: [stop, lead]) == nil)
    // What is new is news at once.
    let newer = Telling(subject: .lead, edition: 2)
    #expect(rounds.next(for: 0, notKnown: [stop, newer]) == newer)
    rounds.ended(0)
    rounds.beginAnew()
    #expect(rounds.next(for: 0, notKnown: [stop, newer]) == stop)
  }
}
