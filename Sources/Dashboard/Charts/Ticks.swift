import Domain

/// Where an axis is marked.
enum Ticks {
  /// Round values from `low` to `high`, at most `most` (2 or more), ends not included unless they are round.
  static func values(from low: Double, to high: Double, most: Int) -> [Double] {
    guard low.isFinite, high.isFinite, low < high else { return [low] }
    let raw = (high - low) / Double(max(most, 2) - 1)
    guard raw.isFinite, raw > 0 else { return [low] }
    var power = 1.0
    while power * 10 <= raw { power *= 10 }
    while power > raw { power /= 10 }
    let step = [1.0, 2, 5, 10].first { $0 * power >= raw * 0.999_999 }.map { $0 * power } ?? raw
    let first = (low / step).rounded(.up)
    // By multiplication: adding a step again and again drifts.
    return (0...most).map { (first + Double($0)) * step }.filter { $0 <= high + step * 1e-9 }
  }

  /// Whole numbers from `low` to `high`.
  static func steps(from low: Int, to high: Int, most: Int) -> [Int] {
    values(from: Double(low), to: Double(high), most: most).filter { $0.rounded() == $0 }.map { Int($0) }
  }

  /// Round moments inside `[start, end]`, at most `most`, by the clock of UTC.
  static func moments(from start: Timestamp, to end: Timestamp, most: Int) -> [Timestamp] {
    let minute: Int64 = 60_000_000
    let lengths: [Int64] = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 7 * 1440, 14 * 1440, 28 * 1440]
    let span = end.microseconds - start.microseconds
    guard span > 0 else { return [start] }
    var step = minute * (lengths.first { span / (minute * $0) < Int64(most) } ?? 28 * 1440)
    while span / step >= Int64(most) { step *= 2 }
    var moment = start.microseconds / step * step
    if moment < start.microseconds { moment += step }
    return stride(from: moment, through: end.microseconds, by: Int64.Stride(step)).map(Timestamp.init(microseconds:))
  }
}
