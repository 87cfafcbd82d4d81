import Testing
import Wire

@testable import Daemon

@Suite struct NoticeTests {
  @Test func asksForThoseThatWereNotToldUntilTheyAre() {
    var notice = Notice<Int>()
    notice.says(7)
    #expect(notice.untold(of: 0..<3) == [0, 1, 2])
    notice.wereTold([0, 2])
    notice.says(7)
    #expect(notice.untold(of: 0..<3) == [1])
    notice.says(8)
    #expect(notice.untold(of: 0..<3) == [0, 1, 2])
  }

  @Test func aStopStaysTheFirstHoweverOftenOthersAreWanted() {
    var stops = StopLedger()
    stops.wants(.stop(.timeLimit))
    stops.wereTold([0, 1])
    stops.wants(.stop(.cancelled))
    stops.wants(.stop(.timeLimit))
    #expect(stops.wanted == .stop(.timeLimit))
    #expect(stops.untold(of: 0..<2) == [])
  }

  @Test func aKillComesAfterAStopAndNothingAfterAKill() {
    var stops = StopLedger()
    stops.wants(.stop(.cancelled))
    stops.wereTold([0])
    stops.wants(.kill(.cancelled))
    #expect(stops.untold(of: 0..<1) == [0])
    stops.wants(.stop(.timeLimit))
    #expect(stops.wanted == .kill(.cancelled))
  }
}
