/// What happened between the last step of one attempt and the first step of the next: how long a run stood still, and
/// where that time went.
public struct Handoff: Hashable, Sendable, Codable {
  /// What the time went into, in the order in which it passes.
  public enum Step: String, Hashable, Sendable, Codable, CaseIterable {
    /// From the last step to the checkpoint being complete on the node.
    case save
    /// From there to the checkpoint being DURABLE.
    case upload
    /// No lease that the run could have gone on in.
    case gap
    /// A lease was there and no attempt yet: the margin of the last save, settling, deciding, others on the nodes.
    case wait
    /// Telling the nodes, and bringing what they lacked of the data.
    case staging
    /// Bringing the checkpoint back to the nodes.
    case restore
    /// From all being in place to every rank running.
    case launch
    /// From there to the first step: the program's own start.
    case firstStep
  }

  /// One stretch of it.
  public struct Part: Hashable, Sendable, Codable {
    /// What passed.
    public var step: Step
    /// How long it took.
    public var length: TimeSpan

    /// `step` took `length`.
    public init(step: Step, length: TimeSpan) {
      self.step = step
      self.length = length
    }
  }

  /// Number of the attempt that stopped.
  public var from: Int
  /// Number of the attempt that went on.
  public var to: Int
  /// When the last step before was heard of, by the database's clock.
  public var lastStepAt: Timestamp
  /// When the first step after was heard of, by the database's clock.
  public var firstStepAt: Timestamp
  /// Every step of `Step`, in its order; their sum is `total`.
  public var parts: [Part]

  /// How long the run stood still.
  public var total: TimeSpan { firstStepAt - lastStepAt }

  /// The same without the time in which there was no lease: what Baton and the program can do something about.
  public var besideGap: TimeSpan { total - length(of: .gap) }

  /// How long `step` took.
  public func length(of step: Step) -> TimeSpan {
    parts.first { $0.step == step }?.length ?? .zero
  }

  private enum CodingKeys: String, CodingKey { case from, to, lastStepAt, firstStepAt, parts, total, besideGap }

  /// Reads a handoff; what follows from its parts is not looked at.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    from = try container.decode(Int.self, forKey: .from)
    to = try container.decode(Int.self, forKey: .to)
    lastStepAt = try container.decode(Timestamp.self, forKey: .lastStepAt)
    firstStepAt = try container.decode(Timestamp.self, forKey: .firstStepAt)
    parts = try container.decode([Part].self, forKey: .parts)
    _ = try container.decodeIfPresent(TimeSpan.self, forKey: .total)
    _ = try container.decodeIfPresent(TimeSpan.self, forKey: .besideGap)
  }

  /// Writes it with `total` and `besideGap`, for who reads JSON.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(from, forKey: .from)
    try container.encode(to, forKey: .to)
    try container.encode(lastStepAt, forKey: .lastStepAt)
    try container.encode(firstStepAt, forKey: .firstStepAt)
    try container.encode(parts, forKey: .parts)
    try container.encode(total, forKey: .total)
    try container.encode(besideGap, forKey: .besideGap)
  }
}

/// The moments of one attempt that a handoff is measured from, all by the database's clock.
///
/// Clocks of nodes play no part; what a node measured itself is a length.
public struct AttemptMoments: Hashable, Sendable {
  /// Its number in the job.
  public var number: Int
  /// From when its lease lasted until when.
  public var lease: Period
  /// When its nodes were given to it.
  public var createdAt: Timestamp
  /// When all was in place on its nodes.
  public var launchedAt: Timestamp?
  /// When its ranks ran.
  public var runningAt: Timestamp?
  /// When its first step was heard of.
  public var firstStepAt: Timestamp?
  /// When its last step was heard of.
  public var lastStepAt: Timestamp?
  /// How long bringing its checkpoint back took, on the slowest node; nil where it resumed from none.
  public var restore: TimeSpan?
  /// The checkpoint that it resumed from; nil where it began anew.
  public var resumed: Resumed?

  /// A checkpoint that an attempt went on from.
  public struct Resumed: Hashable, Sendable {
    /// When it was heard to be complete on a node.
    public var localAt: Timestamp
    /// When it was DURABLE.
    public var durableAt: Timestamp

    /// A checkpoint that was complete at `localAt` and DURABLE at `durableAt`.
    public init(localAt: Timestamp, durableAt: Timestamp) {
      self.localAt = localAt
      self.durableAt = durableAt
    }
  }

  /// An attempt of which nothing else is known.
  public init(number: Int, lease: Period, createdAt: Timestamp) {
    self.number = number
    self.lease = lease
    self.createdAt = createdAt
  }
}

extension Handoff {
  /// The handoffs of a run, oldest first: one for each attempt that made a step after another had.
  ///
  /// `attempts` are in the order of their numbers. An attempt that made no step, since its nodes had trouble, belongs
  /// to the wait of the one that did. A moment that lies before the one that precedes it, as the save of a checkpoint
  /// that is older than the last step does, takes no time.
  public static func all(of attempts: [AttemptMoments]) -> [Handoff] {
    var handoffs: [Handoff] = []
    var last: AttemptMoments?
    for attempt in attempts {
      guard let firstStepAt = attempt.firstStepAt else { continue }
      if let last, let lastStepAt = last.lastStepAt, lastStepAt <= firstStepAt {
        handoffs.append(Handoff(from: last, lastStepAt, to: attempt, firstStepAt))
      }
      last = attempt
    }
    return handoffs
  }

  private init(from last: AttemptMoments, _ lastStepAt: Timestamp, to next: AttemptMoments, _ firstStepAt: Timestamp) {
    var clock = lastStepAt
    /// The time until `moment`, which is now; none where that has passed, or is not known.
    func until(_ moment: Timestamp?) -> TimeSpan {
      let end = min(max(moment ?? clock, clock), firstStepAt)
      defer { clock = end }
      return end - clock
    }
    let save = until(next.resumed?.localAt)
    let upload = until(next.resumed?.durableAt)
    let stopped = clock
    let between = until(next.createdAt)
    let gap = min(between, max(.zero, min(next.lease.start, next.createdAt) - max(last.lease.end, stopped)))
    let prepared = until(next.launchedAt)
    let restore = min(next.restore ?? .zero, prepared)
    let launch = until(next.runningAt)
    let lengths: [Step: TimeSpan] = [
      .save: save, .upload: upload, .gap: gap, .wait: between - gap, .staging: prepared - restore, .restore: restore,
      .launch: launch, .firstStep: firstStepAt - clock,
    ]
    self.from = last.number
    self.to = next.number
    self.lastStepAt = lastStepAt
    self.firstStepAt = firstStepAt
    self.parts = Step.allCases.map { Part(step: $0, length: lengths[$0] ?? .zero) }
  }
}

extension Handoff.Step {
  /// In words, for people.
  public var title: String { self == .firstStep ? "first step" : rawValue }
}

extension Handoff: CustomStringConvertible {
  /// `4.2s beside a gap of 20s: save 0.3s, upload 0.5s, ...`; parts that took less than 50 ms are left out.
  public var description: String {
    let gap = length(of: .gap)
    let head = gap > .zero ? "\(besideGap) beside a gap of \(gap)" : "\(total)"
    let parts = parts.filter { $0.step != .gap && $0.length.microseconds >= 50_000 }
      .map { "\($0.step.title) \($0.length)" }
    return parts.isEmpty ? head : "\(head): \(parts.joined(separator: ", "))"
  }
}
