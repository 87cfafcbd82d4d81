/// When the last save of an attempt begins before a lease's end: as late as what was measured allows.
///
/// A value that learns; time is never asked for.
public struct LastSave: Hashable, Sendable {
  /// No last save is planned with less time than this, whatever was measured.
  public static let floor = TimeSpan.seconds(3)
  /// What is kept beside the forecast: the network is slower today.
  public static let factor = 1.25
  /// What is kept beside both: signals, a store that answers late once.
  public static let margin = TimeSpan.seconds(1)
  private static let reserveMost = TimeSpan.seconds(2)

  private struct Cost: Hashable, Sendable {
    var save: TimeSpan
    var upload: TimeSpan
    var bytes: ByteCount
  }

  /// How long before the end it begins while nothing was measured.
  public let assumed: TimeSpan
  /// From SIGTERM to SIGKILL.
  public let grace: TimeSpan
  /// What others measured makes it this; nil where nobody told.
  public private(set) var told: TimeSpan?
  private var costs: [Cost] = []
  private var expected = ByteCount.zero

  /// A rule that has measured nothing.
  public init(assumed: TimeSpan, grace: TimeSpan) {
    self.assumed = assumed
    self.grace = grace
  }

  /// Learns from a checkpoint.
  ///
  /// - Parameters:
  ///   - save: from asking until it was complete; nil where nobody had asked. No program saves longer than the grace lets it.
  ///   - upload: from complete to durable, hash and commit included, without pauses that were made to be gentle.
  ///   - bytes: its size.
  public mutating func measured(save: TimeSpan?, upload: TimeSpan, bytes: ByteCount) {
    costs.append(Cost(save: min(save ?? .zero, grace), upload: upload, bytes: bytes))
    expects(bytes)
  }

  /// Checkpoints are as large as `bytes` now: costs that were measured of smaller ones count for more.
  public mutating func expects(_ bytes: ByteCount) { expected = max(expected, bytes) }

  /// Others measured that it takes `lead`; what was measured here wins where that is longer.
  public mutating func isTold(_ lead: TimeSpan) { told = lead }

  /// Whether anything was measured here.
  public var hasMeasured: Bool { !costs.isEmpty }

  /// The forecast: the 95th percentile, by nearest rank, of what saves and uploads of today's size would have taken.
  public var cost: TimeSpan {
    Self.percentile95(
      costs.map { cost in
        let scale = self.scale(cost)
        return min(.seconds(cost.save.seconds * scale), grace) + .seconds(cost.upload.seconds * scale)
      })
  }

  /// The same of the upload alone.
  public var uploadCost: TimeSpan { Self.percentile95(costs.map { .seconds($0.upload.seconds * scale($0)) }) }

  private func scale(_ cost: Cost) -> Double {
    cost.bytes > .zero ? max(1, Double(expected.bytes) / Double(cost.bytes.bytes)) : 1
  }

  private static func percentile95(_ spans: [TimeSpan]) -> TimeSpan {
    spans.isEmpty ? .zero : spans.sorted()[(spans.count * 95 + 99) / 100 - 1]
  }

  /// How long before the end the save begins.
  public var lead: TimeSpan {
    let own = hasMeasured ? .seconds(cost.seconds * Self.factor) + Self.margin : TimeSpan.zero
    guard hasMeasured || told != nil else { return assumed }
    return max(Self.floor, own, told ?? .zero)
  }

  /// How long before the end the save is forecast to be durable; nil while nothing was measured here.
  public var doneBefore: TimeSpan? { hasMeasured ? lead - cost : nil }

  /// What is kept at the very end for journal, metrics and logs.
  public var recordReserve: TimeSpan { min(Self.reserveMost, TimeSpan(microseconds: lead.microseconds / 4)) }
}
