/// A length of time, in whole microseconds; may be negative (a deadline that has passed).
///
/// Coded as seconds, a JSON number, since every peer understands that.
public struct TimeSpan: Hashable, Sendable, Comparable {
  /// The length in microseconds.
  public let microseconds: Int64

  /// A length of `microseconds`.
  public init(microseconds: Int64) {
    self.microseconds = microseconds
  }

  /// A length of whole seconds.
  public static func seconds(_ seconds: Int) -> TimeSpan { TimeSpan(microseconds: Int64(seconds) * 1_000_000) }

  /// A length of seconds, rounded to the microsecond.
  ///
  /// Values beyond ±290,000 years are held at the end of the range, and NaN is zero: this never traps.
  public static func seconds(_ seconds: Double) -> TimeSpan {
    guard !seconds.isNaN else { return .zero }
    let micro = (seconds * 1_000_000).rounded()
    if micro >= 0x1p63 { return TimeSpan(microseconds: .max) }
    if micro <= -0x1p63 { return TimeSpan(microseconds: .min) }
    return TimeSpan(microseconds: Int64(micro))
  }

  /// A length of whole minutes.
  public static func minutes(_ minutes: Int) -> TimeSpan { .seconds(minutes * 60) }

  /// A length of whole hours.
  public static func hours(_ hours: Int) -> TimeSpan { .seconds(hours * 3600) }

  /// A length of whole days of 24 hours.
  public static func days(_ days: Int) -> TimeSpan { .seconds(days * 86_400) }

  /// No time at all.
  public static let zero = TimeSpan(microseconds: 0)

  /// The length in seconds.
  public var seconds: Double { Double(microseconds) / 1_000_000 }

  /// Orders by length.
  public static func < (left: Self, right: Self) -> Bool { left.microseconds < right.microseconds }

  /// The sum; past what fits it stays at the end of the range, so that no sum of lengths turns into a short one.
  public static func + (left: Self, right: Self) -> Self {
    let (sum, overflow) = left.microseconds.addingReportingOverflow(right.microseconds)
    return Self(microseconds: overflow ? (right.microseconds > 0 ? .max : .min) : sum)
  }

  /// The difference, held inside the range like the sum.
  public static func - (left: Self, right: Self) -> Self {
    let (difference, overflow) = left.microseconds.subtractingReportingOverflow(right.microseconds)
    return Self(microseconds: overflow ? (right.microseconds < 0 ? .max : .min) : difference)
  }
}

extension TimeSpan: Codable {
  /// Reads seconds.
  public init(from decoder: any Decoder) throws {
    self = .seconds(try decoder.singleValueContainer().decode(Double.self))
  }

  /// Writes seconds.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(seconds)
  }
}

extension TimeSpan: CustomStringConvertible {
  /// The two largest units that are not zero, as a person would say it: `2d 3h`, `4m 10s`, `1.5s`, `-30s`.
  public var description: String {
    if microseconds < 0 { return "-" + (TimeSpan.zero - self).description }
    if microseconds < 10_000_000 {
      let tenths = (microseconds + 50_000) / 100_000
      return tenths % 10 == 0 ? "\(tenths / 10)s" : "\(tenths / 10).\(tenths % 10)s"
    }
    let total = microseconds / 1_000_000 + (microseconds % 1_000_000 >= 500_000 ? 1 : 0)
    let parts: [(Int64, String)] = [
      (total / 86_400, "d"), (total / 3600 % 24, "h"), (total / 60 % 60, "m"), (total % 60, "s"),
    ]
    guard let first = parts.firstIndex(where: { $0.0 > 0 }) else { return "0s" }
    return parts[first...].prefix(2).filter { $0.0 > 0 }.map { "\($0.0)\($0.1)" }.joined(separator: " ")
  }
}

/// Why a text is not a duration.
public enum DurationSyntaxError: Error, Equatable, Sendable {
  /// A bare number: minutes in Slurm, hours in OAR.
  case bareNumber(String)
  /// `A:B`: minutes and seconds in Slurm, hours and minutes in OAR.
  case twoFields(String)
  /// Nothing that this program knows as a duration.
  case malformed(String)
  /// A field past its range, as in `1:75:00`.
  case fieldTooLarge(String)
}

extension DurationSyntaxError: CustomStringConvertible {
  /// What was typed, what is wrong, what to write instead.
  public var description: String {
    switch self {
    case .bareNumber(let text):
      "the duration '\(text)' has no unit (a bare number is minutes in Slurm and hours in OAR): "
        + "write \(text)s, \(text)m or \(text)h"
    case .twoFields(let text):
      "the duration '\(text)' is ambiguous (minutes:seconds in Slurm, hours:minutes in OAR): "
        + "write it as H:MM:SS or with units, as in 2h or 2m"
    case .malformed(let text):
      "'\(text)' is not a duration: write 30s, 15m, 2h30m, 7d, HH:MM:SS or D-HH:MM:SS"
    case .fieldTooLarge(let text):
      "the duration '\(text)' has minutes or seconds past 59, or a total past 10,000 days"
    }
  }
}

extension TimeSpan {
  private static let longest = TimeSpan.days(10_000)

  /// Reads `30s`, `15m`, `2h30m`, `7d`, `HH:MM:SS`, `D-HH:MM:SS`.
  ///
  /// A bare number and `A:B` are refused, since the peers read them differently. Zero is a duration.
  public init(parsing text: String) throws(DurationSyntaxError) {
    guard !text.isEmpty else { throw .malformed(text) }
    if text.allSatisfy({ $0.isASCII && $0.isNumber }) { throw .bareNumber(text) }
    self = try text.contains(":") ? Self.clock(text) : Self.units(text)
    guard self <= Self.longest else { throw .fieldTooLarge(text) }
  }

  private static func clock(_ text: String) throws(DurationSyntaxError) -> TimeSpan {
    let dash = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
    let fields = (dash.last ?? "").split(separator: ":", omittingEmptySubsequences: false)
    if dash.count == 1, fields.count == 2 { throw .twoFields(text) }
    guard fields.count == 3 else { throw .malformed(text) }
    let days = dash.count == 2 ? smallNumber(dash[0]) : 0
    guard let days, let hours = smallNumber(fields[0]), let minutes = smallNumber(fields[1]),
      let seconds = smallNumber(fields[2])
    else { throw .malformed(text) }
    guard minutes < 60, seconds < 60 else { throw .fieldTooLarge(text) }
    return .seconds(days * 86_400 + hours * 3600 + minutes * 60 + seconds)
  }

  private static func units(_ text: String) throws(DurationSyntaxError) -> TimeSpan {
    let sizes: [Character: Int] = ["d": 86_400, "h": 3600, "m": 60, "s": 1]
    var total = 0
    var last = Int.max
    var digits = ""
    for character in text {
      if character.isASCII, character.isNumber {
        digits.append(character)
        continue
      }
      guard let size = sizes[character], size < last, let count = smallNumber(Substring(digits)) else {
        throw .malformed(text)
      }
      total += count * size
      last = size
      digits = ""
    }
    guard digits.isEmpty else { throw .malformed(text) }
    return .seconds(total)
  }

  /// A number of up to seven digits: more cannot be meant, and cannot overflow what it is multiplied with.
  private static func smallNumber(_ text: Substring) -> Int? {
    guard !text.isEmpty, text.count <= 7, text.allSatisfy({ $0.isASCII && $0.isNumber }) else { return nil }
    return Int(text)
  }
}
