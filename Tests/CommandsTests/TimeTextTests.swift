import Domain
import Foundation
import Testing

@testable import Commands

@Suite struct TimeTextTests {
  private let now = Timestamp(secondsSinceEpoch: 1_795_284_000)  // 2026-11-21T18:00:00Z

  private func times(_ zone: String) throws -> TimeText {
    TimeText(now: now, zone: try #require(TimeZone(identifier: zone)))
  }

  @Test func writesTheOffsetOfTheZoneAtThatMoment() throws {
    let berlin = try times("Europe/Berlin")
    #expect(berlin.absolute(now) == "2026-11-21 19:00:00+01:00")
    #expect(berlin.absolute(now - .days(120)) == "2026-07-24 20:00:00+02:00")
    #expect(try times("UTC").absolute(now) == "2026-11-21 18:00:00+00:00")
    #expect(try times("America/St_Johns").absolute(now) == "2026-11-21 14:30:00-03:30")
  }

  @Test func writesDistancesForPeople() throws {
    let utc = try times("UTC")
    #expect(utc.relative(now + .seconds(7500)) == "in 2h 5m")
    #expect(utc.relative(now - .seconds(180)) == "3m ago")
    #expect(utc.relative(now + .seconds(0.4)) == "now")
    #expect(utc.left(now + .seconds(59.2)) == "1m")
    #expect(utc.left(now - .seconds(1)) == "over")
    #expect(utc.both(now + .days(1)) == "2026-11-22 18:00:00+00:00 (in 1d)")
  }
}
