public import Domain

/// When the last save of an attempt has to begin, so that it is DURABLE before the lease ends and no earlier than that.
public enum CheckpointTiming {
  /// How long before the end of the lease the last save has to begin.
  ///
  /// `samples` are measured durations from SIGTERM to DURABLE of this job at its present size and link, in any order.
  /// The estimate is their 95th percentile (nearest rank: below 20 samples the longest), or `grace` where there are
  /// none yet: then the program may take all the time it is given. The answer is the estimate, at least `floor`,
  /// plus `margin`; it never is negative.
  public static func leadTime(samples: [TimeSpan], grace: TimeSpan, floor: TimeSpan, margin: TimeSpan) -> TimeSpan {
    max(.zero, max(percentile95(of: samples) ?? grace, floor) + margin)
  }

  /// The nearest-rank percentile: the smallest sample that at least 95 in 100 samples do not exceed.
  private static func percentile95(of samples: [TimeSpan]) -> TimeSpan? {
    guard !samples.isEmpty else { return nil }
    let rank = (samples.count * 95 + 99) / 100
    return samples.sorted()[rank - 1]
  }
}
