import Domain
import Wire

/// Checkpoints for people.
enum CheckpointText {
  /// The checkpoints of a job.
  static func table(_ checkpoints: some Sequence<CheckpointView>, _ times: TimeText) -> Table {
    var table = Table([
      .init("CHECKPOINT"), .init("STEP", isRight: true), .init("STATE"), .init("ATTEMPT", isRight: true, drops: 2),
      .init("SIZE", isRight: true), .init("DURABLE", drops: 1), .init("READ-BACK", drops: 0),
      .init("KEPT", shrinks: true, drops: 3),
    ])
    for checkpoint in checkpoints {
      table.add([
        .init("\(checkpoint.id)"), "\(checkpoint.step)", .init(checkpoint.state.rawValue, ink(checkpoint.state)),
        "\(checkpoint.attemptNumber)", "\(checkpoint.bytes)", .init(checkpoint.durableAt.map(times.relative) ?? "-"),
        .init(readBack(checkpoint).map(times.relative) ?? "-"), .init(reasons(checkpoint).joined(separator: ", ")),
      ])
    }
    return table
  }

  /// What is said where a job has no checkpoint to show.
  static func none(of job: JobView) -> String {
    if job.state.isFinal { return "no checkpoint: \(job.id) is over" }
    if job.savesByItself == true { return "no checkpoint yet: its program saves by itself and cannot be asked to" }
    return "no checkpoint yet: ask a running job for one with `baton checkpoint \(job.id)`"
  }

  /// One checkpoint, in full.
  static func facts(_ checkpoint: CheckpointView, _ times: TimeText) -> Facts {
    var facts = Facts()
    facts.add("checkpoint", "\(checkpoint.id)", .bold)
    facts.add("state", checkpoint.state.rawValue, ink(checkpoint.state))
    facts.add("job", "\(checkpoint.job), attempt \(checkpoint.attemptNumber)")
    facts.add("step", "\(checkpoint.step)")
    facts.add("size", "\(checkpoint.bytes)")
    facts.add("saved", times.both(checkpoint.createdAt))
    facts.add("rejected", checkpoint.rejection)
    facts.add("durable", checkpoint.durableAt.map(times.both))
    facts.add("read back", readBack(checkpoint).map(times.both))
    facts.add("in the store", checkpoint.prefix.isEmpty ? nil : checkpoint.prefix)
    let reasons = reasons(checkpoint)
    facts.add("kept", reasons.isEmpty ? nil : reasons.joined(separator: ", "))
    for pin in checkpoint.pins ?? [] {
      let why = pin.note.isEmpty ? "" : ": \(pin.note)"
      facts.add("pin", "\(pin.by)\(pin.run.map { " for \($0)" } ?? ""), \(times.both(pin.since))\(why)")
    }
    return facts
  }

  /// One line.
  static func line(_ checkpoint: CheckpointView) -> String {
    "\(checkpoint.id) of \(checkpoint.job), step \(checkpoint.step), \(checkpoint.bytes)"
  }

  /// What reading all of it back has shown.
  static func verdict(_ checkpoint: CheckpointView, fault: String?) -> String {
    guard let fault else { return "\(line(checkpoint)): read back, and equal to its manifest" }
    return Printable.line("\(line(checkpoint)): \(checkpoint.state.rawValue): \(fault)")
  }

  /// What was removed, or would be, and what is kept all the same.
  static func pruned(_ report: PruneReport) -> String {
    let verb = report.dryRun ? "would remove" : "removed"
    let lines = report.pruned.map { "\(verb) \(line($0))" }
    let total =
      report.pruned.isEmpty
      ? "nothing to remove" : "\(verb) \(counted(report.pruned.count, "checkpoint")), \(report.freed)"
    return (lines + [total] + report.refused.map(Printable.line)).joined(separator: "\n")
  }

  /// When all of it was last known to be good: becoming DURABLE is a reading back, too.
  private static func readBack(_ checkpoint: CheckpointView) -> Timestamp? {
    checkpoint.verifiedAt ?? checkpoint.durableAt
  }

  private static func reasons(_ checkpoint: CheckpointView) -> [String] {
    let pins = (checkpoint.pins ?? []).map { pin in
      pin.run.map { "pinned for \($0)" } ?? (pin.note.isEmpty ? "pinned" : "pinned: \(pin.note)")
    }
    return [checkpoint.isLatest ? "latest" : nil, checkpoint.isFinal ? "last of its attempt" : nil].compactMap(\.self)
      + pins
  }

  private static func ink(_ state: CheckpointState) -> Ink? {
    switch state {
    case .corrupt: .red
    case .durable: .green
    case .local, .uploading: .yellow
    case .pruned: .faint
    }
  }
}
