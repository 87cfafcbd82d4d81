/// When the ranks of an attempt may be asked for the first time to save and go on, where nobody in person asks.
///
/// What a library does while a program begins may not bear a signal: PyTorch 1.13's `init_process_group` fails of one with
/// "Interrupted system call". The last save before a lease ends is asked for whatever this says.
public enum FirstAsk {
  /// After the first line of a program that tells no metric.
  static let afterFirstLine = TimeSpan.seconds(30)
  /// After the launch of a program that says nothing at all.
  static let afterLaunch = TimeSpan.seconds(120)

  /// Whether a program that is asked to save `every` so often has begun to work: it told a metric in this attempt, or said its
  /// first line, or was only launched, so long ago as it may take.
  ///
  /// Who wants short intervals is not kept waiting for many of them.
  public static func isDue(
    toldMetric: Bool, sinceFirstLine: TimeSpan?, sinceLaunch: TimeSpan, every: TimeSpan
  ) -> Bool {
    if toldMetric { return true }
    if let since = sinceFirstLine {
      return since >= min(afterFirstLine, TimeSpan(microseconds: every.microseconds / 2))
    }
    return sinceLaunch >= min(afterLaunch, TimeSpan(microseconds: every.microseconds * 2))
  }
}
