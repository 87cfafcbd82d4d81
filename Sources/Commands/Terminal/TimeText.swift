import Domain
import Foundation

/// Writes moments for people: when by the clock, with its offset, and how long until or since.
struct TimeText: Sendable, Hashable {
  /// What is now.
  var now: Timestamp
  /// Whose clock.
  var zone: TimeZone

  /// `in 2h 5m`, `3m ago`, `now`.
  func relative(_ moment: Timestamp) -> String {
    let distance = moment - now
    if distance < .seconds(1), .seconds(-1) < distance { return "now" }
    let length = TimeSpan.seconds(abs(distance.seconds).rounded())
    return distance < .zero ? "\(length) ago" : "in \(length)"
  }

  /// `2026-11-21 18:00:00+01:00`.
  func absolute(_ moment: Timestamp) -> String {
    let offset = zone.secondsFromGMT(for: Date(timeIntervalSince1970: moment.secondsSinceEpoch))
    let whole = Timestamp(secondsSinceEpoch: moment.secondsSinceEpoch.rounded(.down))
    let wall = (whole + .seconds(offset)).iso8601.dropLast().replacingOccurrences(of: "T", with: " ")
    let minutes = abs(offset) / 60
    return wall + (offset < 0 ? "-" : "+") + Self.two(minutes / 60) + ":" + Self.two(minutes % 60)
  }

  /// `2026-11-21 18:00:00+01:00 (in 2h 5m)`.
  func both(_ moment: Timestamp) -> String { "\(absolute(moment)) (\(relative(moment)))" }

  /// What is left until `moment`, `over` after it.
  func left(_ moment: Timestamp) -> String {
    moment > now ? TimeSpan.seconds((moment - now).seconds.rounded(.up)).description : "over"
  }

  private static func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
}
