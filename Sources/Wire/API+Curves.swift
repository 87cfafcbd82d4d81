public import Domain

/// How values that are no finite numbers are written in JSON, which has none: as these texts, in place of a number.
public enum NonNumber {
  /// Not a number.
  public static let nan = "NaN"
  /// Greater than all numbers.
  public static let infinity = "Infinity"
  /// Less than all numbers.
  public static let minusInfinity = "-Infinity"
}

/// A place of a curve where another attempt went on: why, and what that cost.
public struct CurveBoundary: Hashable, Sendable, Codable {
  /// The last step before.
  public var before: Int
  /// The first step after.
  public var after: Int
  /// The number of the attempt that ended.
  public var from: Int
  /// The number of the one that went on.
  public var to: Int
  /// How the last attempt before `to` ended, which may have computed nothing; nil where that is not known.
  public var cause: AttemptOutcome?
  /// The sentence behind it.
  public var detail: String?
  /// Steps of this metric that `to` had to compute again.
  public var stepsRedone: Int
  /// How long the run stood still; nil where that is not known.
  public var stoodStill: TimeSpan?
  /// The same without the time in which there was no lease.
  public var besideGap: TimeSpan?

  /// A place of a curve where another attempt went on.
  public init(
    before: Int, after: Int, from: Int, to: Int, cause: AttemptOutcome?, detail: String? = nil, stepsRedone: Int,
    stoodStill: TimeSpan? = nil, besideGap: TimeSpan? = nil
  ) {
    self.before = before
    self.after = after
    self.from = from
    self.to = to
    self.cause = cause
    self.detail = detail
    self.stepsRedone = stepsRedone
    self.stoodStill = stoodStill
    self.besideGap = besideGap
  }
}

/// `GET /runs/{run}/metrics/{metric}/archived?from=STEP&to=STEP&limit=N`: what left a curve since the run went on from
/// before it, in order of step and attempt.
public struct ArchivedSeries: Hashable, Sendable, Codable {
  /// Its name.
  public var metric: String
  /// The steps; one may come several times, by different attempts.
  public var steps: [Int]
  /// The value of each.
  public var values: [Double]
  /// The number of the attempt that computed each.
  public var attempts: [Int]
  /// When each was computed, by the clock of its node.
  public var recordedAt: [Timestamp]
  /// When each left the curve.
  public var archivedAt: [Timestamp]
  /// Why.
  public var reasons: [String]
  /// The step to ask from for what comes next; nil at the end.
  public var next: Int?

  /// A series; all have one length.
  public init(
    metric: String, steps: [Int], values: [Double], attempts: [Int], recordedAt: [Timestamp], archivedAt: [Timestamp],
    reasons: [String], next: Int? = nil
  ) {
    self.metric = metric
    self.steps = steps
    self.values = values
    self.attempts = attempts
    self.recordedAt = recordedAt
    self.archivedAt = archivedAt
    self.reasons = reasons
    self.next = next
  }
}
