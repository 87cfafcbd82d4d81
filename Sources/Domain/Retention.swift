/// Which DURABLE checkpoints of a run are kept: whatever any one of its rules wants.
///
/// The newest is always kept, whatever it says.
public struct RetentionPolicy: Hashable, Sendable, Codable {
  /// Which value of a metric is the better one.
  public enum Mode: String, Hashable, Sendable, Codable, CaseIterable {
    /// The smaller, as of a loss.
    case min
    /// The greater, as of an accuracy.
    case max
  }

  /// So many of the newest; less than 1 counts as 1.
  public var last: Int = 3
  /// So many of those with the best value of `metric`.
  public var best: Int = 0
  /// By which metric `best` judges; nil keeps none for its value.
  public var metric: String?
  /// Which of its values is the better one.
  public var mode: Mode = .min
  /// The first at or after each multiple of so many steps; nil or less than 1 keeps none for its step.
  public var everySteps: Int?
  /// Those that are DURABLE for less than this; nil keeps none for its age.
  public var youngerThan: TimeSpan?

  /// The newest three.
  public init() {}

  /// Reads what is told; the rest is at its default.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    last = try container.decodeIfPresent(Int.self, forKey: .last) ?? last
    best = try container.decodeIfPresent(Int.self, forKey: .best) ?? best
    metric = try container.decodeIfPresent(String.self, forKey: .metric)
    mode = try container.decodeIfPresent(Mode.self, forKey: .mode) ?? mode
    everySteps = try container.decodeIfPresent(Int.self, forKey: .everySteps)
    youngerThan = try container.decodeIfPresent(TimeSpan.self, forKey: .youngerThan)
  }
}

/// What retention has to know of a checkpoint.
public struct RetentionCandidate: Hashable, Sendable {
  /// Which.
  public var id: CheckpointID
  /// The number of the attempt that wrote it.
  public var attemptNumber: Int
  /// After which step.
  public var step: Int64
  /// Where it stands: only DURABLE ones are kept for a reason or removed, the others are not its matter.
  public var state: CheckpointState
  /// Since when it is DURABLE.
  public var durableAt: Timestamp
  /// The value of the policy's metric there; nil where none is known.
  public var value: Double?
  /// Whether somebody wants it kept, or its job or a live attempt needs it.
  public var isHeld: Bool

  /// A checkpoint.
  public init(
    id: CheckpointID, attemptNumber: Int, step: Int64, state: CheckpointState = .durable, durableAt: Timestamp,
    value: Double? = nil, isHeld: Bool = false
  ) {
    self.id = id
    self.attemptNumber = attemptNumber
    self.step = step
    self.state = state
    self.durableAt = durableAt
    self.value = value
    self.isHeld = isHeld
  }

  /// Whether it goes before `other` in time: by attempt, then by step.
  fileprivate func isOlder(than other: RetentionCandidate) -> Bool {
    (attemptNumber, step, id) < (other.attemptNumber, other.step, other.id)
  }
}

extension RetentionPolicy {
  /// The checkpoints of one run that may be removed, oldest first.
  ///
  /// Never the newest DURABLE one, so never the only one; never one that is held; never one that is not DURABLE. What
  /// may be removed may still be removed later, and after more was saved; once it is removed, no other becomes removable
  /// by that.
  public func prunable(_ checkpoints: [RetentionCandidate], at now: Timestamp) -> [CheckpointID] {
    let durable = checkpoints.filter { $0.state == .durable }.sorted { $0.isOlder(than: $1) }
    var kept = Set(durable.suffix(Swift.max(1, last)).map(\.id))
    kept.formUnion(bestOnes(of: durable))
    kept.formUnion(milestones(of: durable))
    if let youngerThan { kept.formUnion(durable.filter { now - $0.durableAt < youngerThan }.map(\.id)) }
    return durable.filter { !$0.isHeld && !kept.contains($0.id) }.map(\.id)
  }

  /// Of equal values the newer is the better: it is further on.
  private func bestOnes(of durable: [RetentionCandidate]) -> [CheckpointID] {
    guard metric != nil, best > 0 else { return [] }
    let judged = durable.reversed().compactMap { candidate -> (id: CheckpointID, value: Double)? in
      guard let value = candidate.value, !value.isNaN else { return nil }
      return (candidate.id, mode == .min ? value : -value)
    }
    // Sorting is stable, so that the newer of two equal ones stays first.
    return judged.sorted { $0.value < $1.value }.prefix(best).map(\.id)
  }

  private func milestones(of durable: [RetentionCandidate]) -> [CheckpointID] {
    guard let everySteps, everySteps > 0 else { return [] }
    var first: [Int64: RetentionCandidate] = [:]
    for candidate in durable where candidate.step >= Int64(everySteps) {
      let stretch = candidate.step / Int64(everySteps)
      // Of the same step the newer attempt's counts: it is what the run went on from.
      if let known = first[stretch], known.step < candidate.step { continue }
      first[stretch] = candidate
    }
    return first.values.map(\.id)
  }
}

/// Whether a running job has saved lately enough.
public enum Freshness: Hashable, Sendable {
  /// Nothing to do.
  case fresh
  /// It is to be asked to save.
  case due
  /// It was to be asked long ago: somebody should look at it.
  case overdue
}

extension CheckpointPolicy {
  /// A job is late by half its interval before it is asked: its own rhythm goes first.
  private static let dueFactor = 1.5
  /// By then it was asked, and had its time to save and to upload.
  private static let overdueFactor = 4.0

  /// How a job stands whose newest DURABLE checkpoint is of `newest`, or that runs since then and has none.
  public func freshness(newest: Timestamp, at now: Timestamp) -> Freshness {
    guard let every else { return .fresh }
    let age = (now - newest).seconds
    if age > every.seconds * Self.overdueFactor { return .overdue }
    return age > every.seconds * Self.dueFactor ? .due : .fresh
  }
}
