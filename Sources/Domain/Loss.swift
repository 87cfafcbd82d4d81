/// What would be computed again if a job's lease ended at this moment, without a last save.
public struct Loss: Hashable, Sendable, Codable {
  /// Steps after the newest DURABLE checkpoint; nil where no step is known.
  public var steps: Int?
  /// How long ago what is kept was saved, or the attempt began, whichever is later.
  public var time: TimeSpan
  /// That time on every GPU of the attempt: GPU-seconds.
  public var gpuTime: TimeSpan

  /// What an attempt on `gpus` GPUs would lose at `now`.
  ///
  /// - Parameters:
  ///   - lastStep: the last step of which a metric is known.
  ///   - durableStep: the step of the newest DURABLE checkpoint; nil where the run has none.
  ///   - savedAt: when that was saved: what came after is not in it, although it was not yet DURABLE then.
  ///   - runningSince: since when the ranks run: what ended before cannot be lost by this.
  public init(
    lastStep: Int?, durableStep: Int?, savedAt: Timestamp?, runningSince: Timestamp, gpus: Int, at now: Timestamp
  ) {
    steps = lastStep.map { max(0, $0 - (durableStep ?? 0)) }
    time = max(.zero, now - max(savedAt ?? runningSince, runningSince))
    gpuTime = .seconds(time.seconds * Double(max(0, gpus)))
  }

  /// A loss.
  public init(steps: Int?, time: TimeSpan, gpuTime: TimeSpan) {
    self.steps = steps
    self.time = time
    self.gpuTime = gpuTime
  }

  /// Several losses together: steps where any are known, the longest time, all GPU-seconds.
  public static func sum(_ losses: some Sequence<Loss>) -> Loss {
    losses.reduce(Loss(steps: nil, time: .zero, gpuTime: .zero)) { sum, next in
      let steps = sum.steps.map { $0 + (next.steps ?? 0) } ?? next.steps
      return Loss(steps: steps, time: max(sum.time, next.time), gpuTime: sum.gpuTime + next.gpuTime)
    }
  }
}

extension Loss: CustomStringConvertible {
  /// `120 steps, 0.5 GPU-h`; the plain time where there are no GPUs.
  public var description: String {
    [steps.map { counted($0, "step") }, work].compactMap(\.self).joined(separator: ", ")
  }

  /// `0.5 GPU-h`, `2.4 GPU-min`, or `5m` without GPUs.
  public var work: String {
    guard gpuTime > .zero else { return TimeSpan.seconds(time.seconds.rounded()).description }
    let hours = gpuTime.seconds / 3600
    return hours >= 0.1 ? "\(Self.oneDecimal(hours)) GPU-h" : "\(Self.oneDecimal(hours * 60)) GPU-min"
  }

  private static func oneDecimal(_ number: Double) -> String {
    let tenths = Int64((number * 10).rounded())
    return "\(tenths / 10).\(tenths % 10)"
  }
}
