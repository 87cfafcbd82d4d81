/// How fast a checkpoint is sent while its program works on: through within half of the interval between two saves, at
/// least 8 MiB a second.
///
/// A value; the caller waits, and knows the time.
public struct UploadPace: Hashable, Sendable {
  /// Bytes a second; no network is so slow that less would help.
  public static let slowest = 8.0 * 1_048_576

  /// Bytes a second.
  public let rate: Double
  private let begun: TimeSpan
  private var sent: Int64 = 0

  /// For `total` bytes whose sending begins at `begun`, on a clock that only goes forward, where saves come every
  /// `interval`.
  public init(total: ByteCount, interval: TimeSpan, begun: TimeSpan) {
    let half = interval.seconds / 2
    rate = half > 0 ? max(Self.slowest, Double(total.bytes) / half) : .infinity
    self.begun = begun
  }

  /// How long to wait until more may be sent; zero or less is now.
  public func pause(at now: TimeSpan) -> TimeSpan { .seconds(Double(sent) / rate) - (now - begun) }

  /// `bytes` are sent.
  public mutating func sends(_ bytes: Int64) { sent += bytes }
}
