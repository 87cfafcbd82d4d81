import Domain

/// Instants as HTTP and its signatures write them, in UTC whatever the machine's locale and zone are.
enum HTTPDate {
  /// Year, month, day, hour, minute and second of `seconds` since 1970.
  struct Fields: Hashable {
    var year: Int
    var month: Int
    var day: Int
    var hour: Int
    var minute: Int
    var second: Int
  }

  /// The fields of an instant; Howard Hinnant's algorithm for the civil calendar.
  static func fields(_ seconds: Int64) -> Fields {
    let days = Int((seconds >= 0 ? seconds : seconds - 86_399) / 86_400)
    let rest = Int(seconds) - days * 86_400
    let shifted = days + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthPart = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * monthPart + 2) / 5 + 1
    let month = monthPart < 10 ? monthPart + 3 : monthPart - 9
    return Fields(
      year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month: month, day: day, hour: rest / 3600,
      minute: rest / 60 % 60, second: rest % 60)
  }

  /// Seconds since 1970 of fields in UTC.
  static func seconds(_ fields: Fields) -> Int64 {
    let year = fields.month <= 2 ? fields.year - 1 : fields.year
    let era = (year >= 0 ? year : year - 399) / 400
    let yearOfEra = year - era * 400
    let dayOfYear = (153 * (fields.month > 2 ? fields.month - 3 : fields.month + 9) + 2) / 5 + fields.day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    let days = era * 146_097 + dayOfEra - 719_468
    return Int64(days) * 86_400 + Int64(fields.hour * 3600 + fields.minute * 60 + fields.second)
  }

  /// `20261121`.
  static func day(_ seconds: Int64) -> String {
    let fields = fields(seconds)
    return padded(fields.year, 4) + padded(fields.month, 2) + padded(fields.day, 2)
  }

  /// `20261121T010844Z`.
  static func compact(_ seconds: Int64) -> String {
    let fields = fields(seconds)
    return "\(day(seconds))T\(padded(fields.hour, 2))\(padded(fields.minute, 2))\(padded(fields.second, 2))Z"
  }

  /// Reads `Sat, 21 Nov 2026 10:45:10 GMT` (RFC 9110); nil where it is anything else.
  static func parse(_ text: String) -> Int64? {
    let parts = text.split(separator: " ")
    guard parts.count == 6, parts[5] == "GMT", let day = Int(parts[1]), let year = Int(parts[3]),
      let month = months.firstIndex(of: String(parts[2]))
    else { return nil }
    let clock = parts[4].split(separator: ":").compactMap { Int($0) }
    guard clock.count == 3, (1...31).contains(day), (1970...9999).contains(year), (0...23).contains(clock[0]),
      (0...59).contains(clock[1]), (0...60).contains(clock[2])
    else { return nil }
    return seconds(
      Fields(year: year, month: month + 1, day: day, hour: clock[0], minute: clock[1], second: clock[2]))
  }

  /// Reads `2026-11-21T10:45:10.000000Z`, with or without the fraction; nil where it is anything else.
  static func parseISO(_ text: String) -> Int64? {
    let numbers = text.split { "-T:.Z".contains($0) }.compactMap { Int($0) }
    guard numbers.count >= 6, (1...12).contains(numbers[1]), (1...31).contains(numbers[2]),
      (1970...9999).contains(numbers[0]), numbers[3] < 24, numbers[4] < 60, numbers[5] < 61
    else { return nil }
    return seconds(
      Fields(
        year: numbers[0], month: numbers[1], day: numbers[2], hour: numbers[3], minute: numbers[4],
        second: numbers[5]))
  }

  private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

  private static func padded(_ number: Int, _ width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }
}
