import Domain
import TestKit
import Testing

@Suite struct TimestampTests {
  @Test(
    arguments: [
      ("1970-01-01T00:00:00Z", 0), ("1970-01-01 00:00Z", 0), ("1969-12-31T23:59:59Z", -1_000_000),
      ("2026-11-21T12:00:00Z", 1_795_262_400_000_000), ("2026-11-21T13:00+01:00", 1_795_262_400_000_000),
      ("2026-11-21T06:30:00-0530", 1_795_262_400_000_000), ("2026-11-21t12:00:00z", 1_795_262_400_000_000),
      ("2026-11-21T22:00:00+10", 1_795_262_400_000_000), ("2026-11-21T12:00:00.5Z", 1_795_262_400_500_000),
      ("2026-11-21T12:00:00.1234567Z", 1_795_262_400_123_456), ("2000-02-29T00:00:00Z", 951_782_400_000_000),
      ("2024-02-29T23:59:59Z", 1_709_251_199_000_000), ("2024-03-01T00:30:00+01:00", 1_709_249_400_000_000),
      ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999), ("0000-01-01T00:00:00Z", -62_167_219_200_000_000),
    ] as [(String, Int64)])
  func readsAMoment(text: String, microseconds: Int64) throws {
    #expect(try Timestamp(iso8601: text).microseconds == microseconds)
  }

  @Test(
    arguments: [
      ("2026-11-21T12:00:00", TimestampSyntaxError.missingOffset("2026-11-21T12:00:00")),
      ("2026-11-21 12:00", .missingOffset("2026-11-21 12:00")), ("2026-11-21", .malformed("2026-11-21")),
      ("", .malformed("")), ("-001-01-01T00:00:00Z", .malformed("-001-01-01T00:00:00Z")),
      ("-2026-01-01T00:00:00Z", .malformed("-2026-01-01T00:00:00Z")),
      ("26-11-21T12:00Z", .malformed("26-11-21T12:00Z")),
      ("2026-11-21T12:00:00.Z", .malformed("2026-11-21T12:00:00.Z")),
      ("2026-11-21T12:00:00Z ", .malformed("2026-11-21T12:00:00Z ")),
      ("2026-11-21T12:00:00ZZ", .malformed("2026-11-21T12:00:00ZZ")),
      ("2026-11-21T12:00:00+1", .malformed("2026-11-21T12:00:00+1")),
      ("2026-11-21T12:00:00 UTC", .malformed("2026-11-21T12:00:00 UTC")),
      ("٢٠٢٦-11-21T12:00:00Z", .malformed("٢٠٢٦-11-21T12:00:00Z")),
      ("2026-13-01T00:00:00Z", .noSuchMoment("2026-13-01T00:00:00Z")),
      ("2026-00-01T00:00:00Z", .noSuchMoment("2026-00-01T00:00:00Z")),
      ("2026-04-31T00:00:00Z", .noSuchMoment("2026-04-31T00:00:00Z")),
      ("2026-02-29T00:00:00Z", .noSuchMoment("2026-02-29T00:00:00Z")),
      ("1900-02-29T00:00:00Z", .noSuchMoment("1900-02-29T00:00:00Z")),
      ("2026-11-21T24:00:00Z", .noSuchMoment("2026-11-21T24:00:00Z")),
      ("2026-11-21T12:60:00Z", .noSuchMoment("2026-11-21T12:60:00Z")),
      ("2026-11-21T12:00:60Z", .noSuchMoment("2026-11-21T12:00:60Z")),
      ("2026-11-21T12:00:00+19:00", .noSuchMoment("2026-11-21T12:00:00+19:00")),
      ("9999-12-31T23:59:59-01:00", .noSuchMoment("9999-12-31T23:59:59-01:00")),
      ("0000-01-01T00:00:00+01:00", .noSuchMoment("0000-01-01T00:00:00+01:00")),
    ])
  func refusesWhatIsNoMoment(text: String, reason: TimestampSyntaxError) {
    #expect(throws: reason) { try Timestamp(iso8601: text) }
    #expect(reason.description.contains("'\(text)'"))
  }

  @Test func countsFromTheCallersNow() throws {
    #expect(try Timestamp(parsing: "now", now: noon) == noon)
    #expect(try Timestamp(parsing: "now+2h", now: noon) == noon + .hours(2))
    #expect(try Timestamp(parsing: "now-5m", now: noon) == noon - .minutes(5))
    #expect(try Timestamp(parsing: "2026-11-21T12:00:00Z", now: noon + .days(1)) == noon)
    #expect(throws: TimestampSyntaxError.duration(.bareNumber("90"))) { try Timestamp(parsing: "now+90", now: noon) }
    #expect(throws: TimestampSyntaxError.malformed("tomorrow")) { try Timestamp(parsing: "tomorrow", now: noon) }
  }

  @Test(arguments: UInt64(0)..<300)
  func readsWhatItWrites(seed: UInt64) throws {
    var dice = SeededGenerator(seed: seed)
    for _ in 0..<20 {
      // Every year that has four digits; half of the moments on a whole second.
      let seconds = Int64.random(in: -62_167_219_200...253_402_300_799, using: &dice)
      let moment = Timestamp(microseconds: seconds * 1_000_000 + Int64(dice.chance(50) ? dice.int(0...999_999) : 0))
      #expect(try Timestamp(iso8601: moment.iso8601) == moment)
    }
  }

  @Test func walksTheCalendarDayByDay() throws {
    var day = try Timestamp(iso8601: "1999-12-31T00:00:00Z")
    var (year, month, date) = (1999, 12, 31)
    let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    for _ in 0..<(366 * 110) {
      day = day + .days(1)
      date += 1
      let isLeap = year % 400 == 0 || (year % 4 == 0 && year % 100 != 0)
      if date > lengths[month - 1] + (month == 2 && isLeap ? 1 : 0) { (month, date) = (month + 1, 1) }
      if month > 12 { (year, month) = (year + 1, 1) }
      let two = { (number: Int) in number < 10 ? "0\(number)" : "\(number)" }
      guard day.iso8601 == "\(year)-\(two(month))-\(two(date))T00:00:00Z" else {
        Issue.record("\(day) is not \(year)-\(month)-\(date)")
        return
      }
    }
  }

  @Test func doesNotOverlapWhereTwoPeriodsTouch() throws {
    let first = Period.fromNoon(.zero, length: .hours(1))
    let second = Period.fromNoon(.hours(1), length: .hours(1))
    #expect(!first.overlaps(second) && !second.overlaps(first) && first.overlaps(first))
    #expect(first.contains(noon) && !first.contains(first.end) && first.length == .hours(1))
    #expect(Period(start: noon, end: noon) == nil)
  }

  @Test func hasNoPeriodThatCannotBeReadBack() throws {
    let last = Timestamp.writable.upperBound
    #expect(Period(start: noon, end: last)?.end.iso8601 == "9999-12-31T23:59:59.999999Z")
    #expect(Period(start: noon, end: last + .seconds(1)) == nil)
    #expect(Period(start: Timestamp.writable.lowerBound - .seconds(1), end: noon) == nil)
    // Not to be read back, but no reason to trap either.
    #expect(!Timestamp(microseconds: .min).iso8601.isEmpty && !Timestamp(microseconds: .max).iso8601.isEmpty)
  }
}
