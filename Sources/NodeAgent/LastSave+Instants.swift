import Domain

/// All before the end of the lease, in this order: SIGTERM, the program's save, at the latest after the grace SIGKILL,
/// the checkpoint's upload, the record's upload.
extension LastSave {
  func stopAt(end: BootInstant) -> BootInstant { end - lead }

  /// SIGKILL after the grace, or when nothing could be uploaded any more; sooner where a peer failed.
  func killAt(stoppedAt: BootInstant, end: BootInstant, afterFailure: Bool = false) -> BootInstant {
    let grace = afterFailure ? min(grace, Self.graceAfterFailure) : grace
    return min(stoppedAt + grace, max(stoppedAt, end - recordReserve))
  }

  func recordAt(end: BootInstant) -> BootInstant { end - recordReserve }

  /// Whether an upload that begins at `now` is through before the end; unmeasured, it is worth trying.
  func hasTimeToUpload(from now: BootInstant, end: BootInstant) -> Bool { now + uploadCost <= recordAt(end: end) }

  /// From when on uploads do not hold back: one that began before, at its pace, is through when the last save begins.
  func fullSpeedAt(end: BootInstant, interval: TimeSpan) -> BootInstant {
    stopAt(end: end) - TimeSpan(microseconds: interval.microseconds / 2)
  }
}
