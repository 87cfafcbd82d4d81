import Domain
import Wire

/// Proofs that a run goes on as it should, for people.
enum ResumeCheckText {
  /// That it has begun, and by which jobs.
  static func begun(_ check: ResumeCheckView) -> String {
    let jobs = check.replays.map { "\($0.job)" }.joined(separator: " and ")
    return "\(check.id): \(jobs) replay \(counted(check.steps, "step")) of \(check.run) from step \(check.step)"
  }

  /// What came of it.
  static func verdict(_ check: ResumeCheckView) -> String {
    guard let verdict = check.verdict else { return "\(check.id) is under way" }
    var lines = ["\(check.run)@\(check.step): \(word(verdict)): \(verdict.detail)"]
    if verdict.outcome == .failed { return lines[0] }
    lines.append(
      "\(check.metric): \(counted(verdict.stepsCompared, "step")) compared, \(verdict.stepsEqual) equal in every bit"
        + (verdict.largestRelative > 0 && verdict.largestRelative.isFinite
          ? ", the largest difference is \(verdict.largestRelative) of the value" : ""))
    if let cause = verdict.cause { lines.append("first ingredient that differs: \(cause.title)") }
    for lost in verdict.ingredients {
      let ranks = lost.ranks.map(String.init).joined(separator: ",")
      let saved = lost.saved.map { "saved \($0)" } ?? "not told when it was saved"
      let loaded = lost.loaded.map { "loaded \($0)" } ?? "not told when it was loaded"
      lines.append("  \(lost.ingredient.title), \(lost.name), rank \(ranks): \(saved), \(loaded)")
    }
    return lines.joined(separator: "\n")
  }

  /// The outcome as people say it.
  static func word(_ verdict: ResumeVerdict) -> String {
    switch verdict.outcome {
    case .equal: "bitwise equal"
    case .close: "within tolerance"
    case .diverged: "diverged"
    case .failed: "not proved"
    }
  }

  /// The proofs about a run, newest first.
  static func table(_ checks: [ResumeCheckView], _ times: TimeText) -> Table {
    var table = Table([
      .init("RESUME CHECK", isRight: true), .init("STEPS"), .init("VERDICT"), .init("INGREDIENT"),
      .init("AT", drops: 0), .init("DETAIL", drops: 1, wraps: true),
    ])
    for check in checks.prefix(5) {
      let outcome = check.verdict?.outcome
      table.add([
        "\(check.id.rawValue)", .init("\(check.step)+\(check.steps)"),
        .init(check.verdict.map(word) ?? "under way", outcome == .diverged || outcome == .failed ? .red : nil),
        .init(check.verdict?.cause?.title ?? "-"), .init(times.relative(check.endedAt ?? check.createdAt)),
        .init(check.verdict?.detail ?? ""),
      ])
    }
    return table
  }
}
