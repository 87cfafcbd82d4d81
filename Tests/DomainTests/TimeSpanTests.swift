import Domain
import TestKit
import Testing

@Suite struct TimeSpanTests {
  @Test(
    arguments: [
      ("30s", 30), ("15m", 900), ("2h", 7200), ("7d", 604_800), ("2h30m", 9000), ("1d2h3m4s", 93_784), ("0s", 0),
      ("90s", 90), ("1000h", 3_600_000), ("00:00:30", 30), ("02:00:00", 7200), ("1:02:03", 3723),
      ("100:00:00", 360_000),
      ("2-00:00:00", 172_800), ("1-01:01:01", 90_061), ("10000d", 864_000_000),
    ])
  func readsADuration(text: String, seconds: Int) throws {
    #expect(try TimeSpan(parsing: text) == .seconds(seconds))
  }

  @Test(
    arguments: [
      ("90", DurationSyntaxError.bareNumber("90")), ("0", .bareNumber("0")), ("2:00", .twoFields("2:00")),
      (":", .twoFields(":")), ("", .malformed("")), ("h", .malformed("h")), ("2x", .malformed("2x")),
      ("-5s", .malformed("-5s")), ("+5s", .malformed("+5s")), ("1.5h", .malformed("1.5h")), ("5 m", .malformed("5 m")),
      ("30m2h", .malformed("30m2h")), ("1h1h", .malformed("1h1h")), ("2h30", .malformed("2h30")),
      ("12345678s", .malformed("12345678s")), ("٣s", .malformed("٣s")), ("1:2:3:4", .malformed("1:2:3:4")),
      ("1-2:3", .malformed("1-2:3")), ("-1:00:00", .malformed("-1:00:00")), ("a:00:00", .malformed("a:00:00")),
      ("1:60:00", .fieldTooLarge("1:60:00")), ("1:00:60", .fieldTooLarge("1:00:60")),
      ("10001d", .fieldTooLarge("10001d")), ("9999999d", .fieldTooLarge("9999999d")),
      ("9999999-00:00:00", .fieldTooLarge("9999999-00:00:00")),
    ])
  func refusesWhatIsNoDuration(text: String, reason: DurationSyntaxError) {
    #expect(throws: reason) { try TimeSpan(parsing: text) }
    #expect(reason.description.contains("'\(text)'"))
  }

  @Test func proposesAUnitForABareNumber() {
    #expect(DurationSyntaxError.bareNumber("90").description.hasSuffix("write 90s, 90m or 90h"))
  }

  @Test(
    arguments: [
      (0.0, "0s"), (0.04, "0s"), (0.05, "0.1s"), (1.5, "1.5s"), (9.99, "10s"), (10.4, "10s"), (59.6, "1m"),
      (61, "1m 1s"),
      (250, "4m 10s"), (3600, "1h"), (3601, "1h"), (183_600, "2d 3h"), (86_400, "1d"), (-30, "-30s"), (-90, "-1m 30s"),
    ])
  func saysALengthInItsTwoLargestUnits(seconds: Double, text: String) {
    #expect(TimeSpan.seconds(seconds).description == text)
  }

  @Test func neverTurnsALongSumIntoAShortOne() {
    let longest = TimeSpan(microseconds: .max)
    let deepest = TimeSpan(microseconds: .min)
    #expect(longest + .seconds(1) == longest)
    #expect(deepest - .seconds(1) == deepest)
    #expect(.zero - deepest == longest)
    #expect(Timestamp(microseconds: .max) + .days(1) == Timestamp(microseconds: .max))
    #expect(Timestamp(microseconds: .max) - Timestamp(microseconds: .min) == longest)
    #expect(deepest.description == "-" + longest.description)
  }

  @Test func clampsSecondsThatAreNoNumberOrTooMany() {
    #expect(TimeSpan.seconds(Double.nan) == .zero)
    #expect(TimeSpan.seconds(Double.infinity) > .days(10_000))
    #expect(TimeSpan.seconds(-Double.infinity) < .days(-10_000))
    // What is longer never reads as shorter.
    let ascending = [-Double.infinity, -1e20, -9.22e12, -9.1e12, 0, 9.1e12, 9.22e12, 1e13, 1e300].map(TimeSpan.seconds)
    #expect(ascending == ascending.sorted())
  }

  @Test(arguments: UInt64(0)..<200)
  func readsWhatItWouldWriteInUnits(seed: UInt64) throws {
    var dice = SeededGenerator(seed: seed)
    let fields = [dice.int(0...900), dice.int(0...23), dice.int(0...59), dice.int(0...59)]
    let seconds = fields[0] * 86_400 + fields[1] * 3600 + fields[2] * 60 + fields[3]
    let clock = "\(fields[0])-\(fields[1]):\(fields[2]):\(fields[3])"
    let units = zip(fields, ["d", "h", "m", "s"]).map { "\($0)\($1)" }.joined()
    #expect(try TimeSpan(parsing: clock) == .seconds(seconds))
    #expect(try TimeSpan(parsing: units) == .seconds(seconds))
  }
}
