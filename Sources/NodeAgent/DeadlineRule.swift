import Domain

/// When the last save of an attempt starts, as late as its measured cost allows.
///
/// All before the end of the lease, in this order: SIGTERM, the program's save, at the latest after the grace
/// SIGKILL, the checkpoint's upload, the record's upload.
struct DeadlineRule: Hashable, Sendable {
  /// What the controller assumes.
  var lastSaveLead: TimeSpan
  /// From SIGTERM to SIGKILL.
  var grace: TimeSpan
  /// Cost of each checkpoint so far: the program's save and the upload.
  private(set) var costs: [TimeSpan] = []
  private var uploads: [TimeSpan] = []

  init(lastSaveLead: TimeSpan, grace: TimeSpan) {
    self.lastSaveLead = lastSaveLead
    self.grace = grace
  }

  /// Learns from a checkpoint; no program saves longer than the grace lets it.
  mutating func measured(save: TimeSpan?, upload: TimeSpan) {
    costs.append(min(save ?? .zero, grace) + upload)
    uploads.append(upload)
  }

  /// The 95th percentile of the costs, by nearest rank.
  var cost: TimeSpan { Self.percentile95(costs) }

  private static func percentile95(_ spans: [TimeSpan]) -> TimeSpan {
    spans.isEmpty ? .zero : spans.sorted()[(spans.count * 95 + 99) / 100 - 1]
  }

  /// Whether an upload that begins at `now` is through before the end; unmeasured, it is worth trying.
  func hasTimeToUpload(from now: BootInstant, end: BootInstant) -> Bool {
    now + Self.percentile95(uploads) <= recordAt(end: end)
  }

  /// How long before the end SIGTERM is sent.
  var lead: TimeSpan {
    max(lastSaveLead, TimeSpan.seconds(cost.seconds * 1.5) + TimeSpan.seconds(1))
  }

  /// What is kept at the very end for journal, metrics and logs.
  var recordReserve: TimeSpan { min(.seconds(2), TimeSpan(microseconds: lead.microseconds / 4)) }

  func stopAt(end: BootInstant) -> BootInstant { end - (costs.isEmpty ? lastSaveLead : lead) }

  /// SIGKILL after the grace, or when nothing could be uploaded any more.
  func killAt(stoppedAt: BootInstant, end: BootInstant) -> BootInstant {
    min(stoppedAt + grace, max(stoppedAt, end - recordReserve))
  }

  func recordAt(end: BootInstant) -> BootInstant { end - recordReserve }
}
