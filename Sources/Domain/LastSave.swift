/// When the last save of an attempt begins before a lease's end: as late as what was measured allows.
///
/// Kept are the dearest save so far at today's size and, beside it, as much again and more while little was measured: the
/// next one may be of a kind that was not met yet. What is kept beside is never more than the time between two saves, which
/// is all that a lost last save costs.
///
/// A value that learns; time is never asked for.
public struct LastSave: Hashable, Sendable {
  /// No last save is planned with less time than this, whatever was measured.
  public static let floor = TimeSpan.seconds(3)
  /// What is kept beside all: signals, a store that answers late once.
  public static let margin = TimeSpan.seconds(1)
  /// So many of the newest measurements count: a store that once stood still is forgotten.
  public static let memory = 50
  private static let reserveMost = TimeSpan.seconds(2)

  /// What was measured of one checkpoint.
  public struct Measurement: Hashable, Sendable {
    /// From asking until it was complete; nil where nobody had asked.
    public var save: TimeSpan?
    /// From complete to durable.
    public var upload: TimeSpan
    /// Its size.
    public var bytes: ByteCount

    /// What was measured.
    public init(save: TimeSpan?, upload: TimeSpan, bytes: ByteCount) {
      self.save = save
      self.upload = upload
      self.bytes = bytes
    }
  }

  private struct Cost: Hashable, Sendable {
    var save: TimeSpan
    var upload: TimeSpan
    var bytes: ByteCount
  }

  /// How long before the end it begins while nothing was measured.
  public let assumed: TimeSpan
  /// From SIGTERM to SIGKILL.
  public let grace: TimeSpan
  /// Who lost a peer has no more than this to save and leave: most wait for it, and hear no signal.
  public static let graceAfterFailure = TimeSpan.seconds(10)
  /// Between two saves: what is lost without the last one; nil where there is no schedule.
  public let interval: TimeSpan?
  /// What others measured makes it this; nil where nobody told.
  public private(set) var told: TimeSpan?
  private var costs: [Cost] = []
  private var expected = ByteCount.zero

  /// A rule that has measured nothing.
  public init(assumed: TimeSpan, grace: TimeSpan, interval: TimeSpan? = nil) {
    self.assumed = assumed
    self.grace = grace
    self.interval = interval
  }

  /// A rule that has learned from `measured`, in the order in which they were made.
  public init(assumed: TimeSpan, grace: TimeSpan, interval: TimeSpan?, measured: [Measurement]) {
    self.init(assumed: assumed, grace: grace, interval: interval)
    for one in measured { self.measured(save: one.save, upload: one.upload, bytes: one.bytes) }
  }

  /// Learns from a checkpoint.
  ///
  /// - Parameters:
  ///   - save: from asking until it was complete; nil where nobody had asked. No program saves longer than the grace lets it.
  ///   - upload: from complete to durable, hash and commit included, without pauses that were made to be gentle.
  ///   - bytes: its size.
  public mutating func measured(save: TimeSpan?, upload: TimeSpan, bytes: ByteCount) {
    if costs.count == Self.memory { costs.removeFirst() }
    costs.append(Cost(save: min(save ?? .zero, grace), upload: upload, bytes: bytes))
    expects(bytes)
  }

  /// Checkpoints are as large as `bytes` now: costs that were measured of smaller ones count for more.
  public mutating func expects(_ bytes: ByteCount) { expected = max(expected, bytes) }

  /// Others measured that it takes `lead`; what was measured here wins where that is longer.
  public mutating func isTold(_ lead: TimeSpan) { told = lead }

  /// Whether anything was measured here.
  public var hasMeasured: Bool { !costs.isEmpty }

  /// The forecast: the most that any save and upload so far would have taken at today's size.
  public var cost: TimeSpan {
    costs.map { cost in
      let scale = self.scale(cost)
      return min(.seconds(cost.save.seconds * scale), grace) + .seconds(cost.upload.seconds * scale)
    }.max() ?? .zero
  }

  /// The same of the upload alone.
  public var uploadCost: TimeSpan { costs.map { .seconds($0.upload.seconds * scale($0)) }.max() ?? .zero }

  /// How many times the dearest of `samples` measurements is kept: 4 after the first one, and ever closer to 2.
  ///
  /// Where uploads vary by a fifth and one in fifty takes twice as long, no more than one in a thousand takes longer than
  /// this, however few were measured.
  public static func factor(samples: Int) -> Double { 2 + 2 / Double(max(1, samples)).squareRoot() }

  private func scale(_ cost: Cost) -> Double {
    cost.bytes > .zero ? max(1, Double(expected.bytes) / Double(cost.bytes.bytes)) : 1
  }

  /// How long before the end the save begins.
  public var lead: TimeSpan {
    guard hasMeasured || told != nil else { return assumed }
    return max(Self.floor, hasMeasured ? own : .zero, told ?? .zero)
  }

  private var own: TimeSpan {
    let beside = TimeSpan.seconds(cost.seconds * (Self.factor(samples: costs.count) - 1))
    return cost + (interval.map { min($0, beside) } ?? beside) + Self.margin
  }

  /// How long before the end the save is forecast to be durable; nil while nothing was measured here.
  public var doneBefore: TimeSpan? { hasMeasured ? lead - cost : nil }

  /// What is kept at the very end for journal, metrics and logs.
  public var recordReserve: TimeSpan { min(Self.reserveMost, TimeSpan(microseconds: lead.microseconds / 4)) }
}
