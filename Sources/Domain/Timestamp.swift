/// A moment, in microseconds since 1970-01-01T00:00:00Z; the resolution PostgreSQL keeps.
///
/// Coded as ISO-8601 text in UTC. Text without an offset is refused: a lease ends at one moment, not at a wall clock's.
public struct Timestamp: Hashable, Sendable, Comparable {
  /// Microseconds since the epoch.
  public let microseconds: Int64

  /// The moment `microseconds` after the epoch.
  public init(microseconds: Int64) {
    self.microseconds = microseconds
  }

  /// The moment `seconds` after the epoch.
  public init(secondsSinceEpoch seconds: Double) {
    self.init(microseconds: TimeSpan.seconds(seconds).microseconds)
  }

  /// Seconds since the epoch.
  public var secondsSinceEpoch: Double { Double(microseconds) / 1_000_000 }

  /// The moments that have a text, and so can be stored and sent: the years 0000 to 9999 in UTC.
  public static let writable =
    Timestamp(microseconds: -62_167_219_200_000_000)...Timestamp(microseconds: 253_402_300_799_999_999)

  /// Orders by time.
  public static func < (left: Self, right: Self) -> Bool { left.microseconds < right.microseconds }

  /// The moment `right` later, held inside the range.
  public static func + (left: Self, right: TimeSpan) -> Self {
    Self(microseconds: (TimeSpan(microseconds: left.microseconds) + right).microseconds)
  }

  /// The moment `right` earlier, held inside the range.
  public static func - (left: Self, right: TimeSpan) -> Self {
    Self(microseconds: (TimeSpan(microseconds: left.microseconds) - right).microseconds)
  }

  /// The time from `right` to `left`, held inside the range.
  public static func - (left: Self, right: Self) -> TimeSpan {
    TimeSpan(microseconds: left.microseconds) - TimeSpan(microseconds: right.microseconds)
  }
}

/// Why a text is not a moment.
public enum TimestampSyntaxError: Error, Equatable, Sendable {
  /// A date and time without `Z` or `+HH:MM`.
  case missingOffset(String)
  /// Neither ISO-8601 nor `now+DURATION`.
  case malformed(String)
  /// A field out of its range, as in month 13 or 30 February, or a year past 9999 once it is in UTC.
  case noSuchMoment(String)
  /// `now+90`: the duration is not one.
  case duration(DurationSyntaxError)
}

extension TimestampSyntaxError: CustomStringConvertible {
  /// What was typed, what is wrong, what to write instead.
  public var description: String {
    switch self {
    case .missingOffset(let text):
      "the time '\(text)' has no offset, so it names a different moment in every zone: "
        + "write \(text)Z for UTC, or \(text)+01:00"
    case .malformed(let text):
      "'\(text)' is not a time: write 2026-11-21T18:00:00Z, 2026-11-21T18:00+01:00, now or now+2h"
    case .noSuchMoment(let text):
      "the time '\(text)' does not exist: a field is out of its range"
    case .duration(let error):
      error.description
    }
  }
}

extension Timestamp {
  /// Reads ISO-8601 with an offset (`2026-11-21T18:00:00.5+01:00`, `2026-11-21 18:00Z`), `now`, `now+2h` or `now-5m`.
  ///
  /// `now` is what the caller says it is: this never reads a clock.
  public init(parsing text: String, now: Timestamp) throws(TimestampSyntaxError) {
    if text == "now" {
      self = now
      return
    }
    if text.hasPrefix("now+") || text.hasPrefix("now-") {
      let span: TimeSpan
      do { span = try TimeSpan(parsing: String(text.dropFirst(4))) } catch { throw .duration(error) }
      self = text.hasPrefix("now+") ? now + span : now - span
      return
    }
    try self.init(iso8601: text)
  }

  /// Reads ISO-8601 with an offset.
  public init(iso8601 text: String) throws(TimestampSyntaxError) {
    var scanner = DigitScanner(text)
    guard let year = scanner.digits(4), scanner.skip("-"), let month = scanner.digits(2), scanner.skip("-"),
      let day = scanner.digits(2), scanner.skip("T") || scanner.skip("t") || scanner.skip(" "),
      let hour = scanner.digits(2), scanner.skip(":"), let minute = scanner.digits(2)
    else { throw .malformed(text) }
    var second = 0
    var fraction = 0
    if scanner.skip(":") {
      guard let value = scanner.digits(2) else { throw .malformed(text) }
      second = value
      if scanner.skip(".") {
        guard let value = scanner.fraction() else { throw .malformed(text) }
        fraction = value
      }
    }
    guard let offset = try Self.offset(&scanner, text) else { throw .missingOffset(text) }
    guard (1...12).contains(month), day >= 1, day <= CivilDate.days(inMonth: month, of: year),
      hour < 24, minute < 60, second < 60
    else { throw .noSuchMoment(text) }
    let days = CivilDate(year: year, month: month, day: day).daysSinceEpoch
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offset
    self.init(microseconds: Int64(seconds) * 1_000_000 + Int64(fraction))
    // `9999-12-31T23:59:59-01:00` would be written with five digits, which nobody reads back.
    guard Self.writable.contains(self) else { throw .noSuchMoment(text) }
  }

  /// The offset in seconds at the end of `text`; nil where there is none.
  private static func offset(_ scanner: inout DigitScanner, _ text: String) throws(TimestampSyntaxError) -> Int? {
    if scanner.atEnd { return nil }
    if scanner.skip("Z") || scanner.skip("z") {
      guard scanner.atEnd else { throw .malformed(text) }
      return 0
    }
    let sign: Int
    if scanner.skip("+") { sign = 1 } else if scanner.skip("-") { sign = -1 } else { throw .malformed(text) }
    guard let hours = scanner.digits(2) else { throw .malformed(text) }
    _ = scanner.skip(":")
    let minutes = scanner.atEnd ? 0 : scanner.digits(2)
    guard let minutes, scanner.atEnd else { throw .malformed(text) }
    guard hours <= 18, minutes < 60 else { throw .noSuchMoment(text) }
    return sign * (hours * 3600 + minutes * 60)
  }

  /// ISO-8601 in UTC, to the second, or to the microsecond where there are any: `2026-11-21T18:00:00Z`.
  ///
  /// Only a moment of `writable` reads back from it.
  public var iso8601: String {
    var (seconds, fraction) = microseconds.quotientAndRemainder(dividingBy: 1_000_000)
    if fraction < 0 { (seconds, fraction) = (seconds - 1, fraction + 1_000_000) }
    var rest = seconds % 86_400
    if rest < 0 { rest += 86_400 }
    let date = CivilDate(daysSinceEpoch: Int((seconds - rest) / 86_400))
    let clock = [rest / 3600, rest / 60 % 60, rest % 60].map { padded(Int($0), 2) }.joined(separator: ":")
    let tail = fraction == 0 ? "" : "." + padded(Int(fraction), 6)
    return "\(padded(date.year, 4))-\(padded(date.month, 2))-\(padded(date.day, 2))T\(clock)\(tail)Z"
  }
}

extension Timestamp: CustomStringConvertible {
  /// The same as `iso8601`.
  public var description: String { iso8601 }
}

extension Timestamp: Codable {
  /// Reads ISO-8601 with an offset.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    do {
      try self.init(iso8601: text)
    } catch {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: error.description)
    }
  }

  /// Writes ISO-8601 in UTC.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(iso8601)
  }
}

/// A half-open stretch of time, `[start, end)`: two that touch do not overlap.
public struct Period: Hashable, Sendable, Codable {
  /// The first moment inside.
  public let start: Timestamp
  /// The first moment after.
  public let end: Timestamp

  /// `[start, end)`; nil where nothing lies between them, or one of them has no text.
  ///
  /// A lease that cannot be read back would stop every round that looks at it.
  public init?(start: Timestamp, end: Timestamp) {
    guard start < end, Timestamp.writable.contains(start), Timestamp.writable.contains(end) else { return nil }
    self.start = start
    self.end = end
  }

  /// From `start` to `end`.
  public var length: TimeSpan { end - start }

  /// Whether `moment` lies inside.
  public func contains(_ moment: Timestamp) -> Bool { start <= moment && moment < end }

  /// Whether the two share a moment.
  public func overlaps(_ other: Period) -> Bool { start < other.end && other.start < end }
}

private func padded(_ value: Int, _ width: Int) -> String {
  let digits = String(value)
  return String(repeating: "0", count: max(0, width - digits.count)) + digits
}

/// A day of the proleptic Gregorian calendar.
///
/// Both directions after Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
struct CivilDate {
  let year: Int
  let month: Int
  let day: Int

  init(year: Int, month: Int, day: Int) {
    self.year = year
    self.month = month
    self.day = day
  }

  init(daysSinceEpoch days: Int) {
    let shifted = days + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
    month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  }

  var daysSinceEpoch: Int {
    let fromMarch = month <= 2 ? year - 1 : year
    let era = (fromMarch >= 0 ? fromMarch : fromMarch - 399) / 400
    let yearOfEra = fromMarch - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    return era * 146_097 + dayOfEra - 719_468
  }

  static func days(inMonth month: Int, of year: Int) -> Int {
    switch month {
    case 2: (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
  }
}

/// Reads fixed fields of digits from a text.
private struct DigitScanner {
  private var rest: Substring.UTF8View

  init(_ text: String) { rest = Substring(text).utf8 }

  var atEnd: Bool { rest.isEmpty }

  mutating func skip(_ character: Unicode.Scalar) -> Bool {
    guard let first = rest.first, UInt32(first) == character.value else { return false }
    rest = rest.dropFirst()
    return true
  }

  mutating func digits(_ count: Int) -> Int? {
    guard rest.count >= count else { return nil }
    var value = 0
    for byte in rest.prefix(count) {
      guard (48...57).contains(byte) else { return nil }
      value = value * 10 + Int(byte - 48)
    }
    rest = rest.dropFirst(count)
    return value
  }

  /// The digits after a point as microseconds; more than six are cut.
  mutating func fraction() -> Int? {
    var value = 0
    var scale = 100_000
    var any = false
    while let byte = rest.first, (48...57).contains(byte) {
      value += Int(byte - 48) * scale
      scale /= 10
      any = true
      rest = rest.dropFirst()
    }
    return any ? value : nil
  }
}
