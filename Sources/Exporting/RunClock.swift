public import Domain
public import Wire

/// When values of a run were computed, as far as that is known.
public struct RunClock: Hashable, Sendable {
  private let starts: [Int: Timestamp]
  /// When the run began: its first attempt, or else its job's submission.
  public let start: Timestamp
  /// When its last attempt ended; nil while that goes on.
  public let end: Timestamp?

  /// The clock of `run`.
  public init(_ run: RunView) {
    starts = Dictionary(run.attempts.map { ($0.number, $0.runningAt ?? $0.createdAt) }) { first, _ in first }
    start = run.attempts.first?.createdAt ?? run.job.submittedAt
    end = run.job.state.isFinal ? run.attempts.last?.endedAt : nil
  }

  /// When a value was computed by `attempt`: what its program said, or where it said nothing when the attempt began.
  public func time(_ said: Timestamp?, attempt: Int) -> Timestamp {
    if let said, said.microseconds > 0 { return said }
    return starts[attempt] ?? start
  }
}
