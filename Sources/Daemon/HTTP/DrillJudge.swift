import Domain
import Wire

/// What a drill makes of what it saw; pure.
enum DrillJudge {
  /// In this order the checks of one thing are shown.
  static func place(_ name: String) -> Int {
    ["node", "store", "save", "read back", "resume", "next lease"].firstIndex(of: name) ?? .max
  }

  /// How long what a drill asked for is waited for: four times what the planner allows, a minute at least, and never
  /// past the moment when the last save of the lease begins.
  static func patience(lead: TimeSpan, grace: TimeSpan, left: TimeSpan) -> TimeSpan {
    let wanted = max(.seconds(lead.seconds * 4) + grace, .minutes(1))
    return max(min(wanted, left - lead), .zero)
  }

  /// A checkpoint of `step` was DURABLE `took` after it was asked for; nil where none came.
  static func save(
    _ job: JobID, step: Int?, took: TimeSpan?, lead: TimeSpan, patience: TimeSpan, outcome: AttemptOutcome? = nil
  ) -> DrillCheck {
    guard let step, let took else {
      let what =
        outcome.map { "it left (\($0.rawValue)) and no checkpoint of it came" }
        ?? "no checkpoint came within \(patience)"
      return DrillCheck(
        name: "save", subject: "\(job)", passed: false, detail: what,
        next: "save on SIGUSR1 and SIGTERM (docs/contract.md); `baton logs \(job)` shows what the program said",
        allowed: lead)
    }
    let isInTime = took <= lead
    return DrillCheck(
      name: "save", subject: "\(job)", passed: isInTime,
      detail: isInTime
        ? "step \(step) was DURABLE in time"
        : "step \(step) was DURABLE, and later than the last save has",
      next: isInTime ? nil : "what was measured now counts from now on: run the drill again", took: took, allowed: lead)
  }

  /// It saves by itself: there is nothing to play.
  static func notAsked(_ job: JobID) -> DrillCheck {
    DrillCheck(
      name: "save", subject: "\(job)", passed: true,
      detail: "its program saves by itself and cannot be asked to: the newest save counts at the lease's end",
      next: "`baton job show \(job)` says what would be lost now; --stop plays the end")
  }

  /// Nothing can be asked of it now.
  static func notRunning(_ job: JobID, _ state: AttemptState) -> DrillCheck {
    DrillCheck(
      name: "save", subject: "\(job)", passed: false, detail: "its attempt is \(state.rawValue), so it cannot save now",
      next: "run the drill again once it is RUNNING")
  }

  /// It was let alone, for what would have come of stopping it.
  static func notStopped(_ job: JobID, _ why: String) -> DrillCheck {
    DrillCheck(
      name: "save", subject: "\(job)", passed: false, detail: "not stopped: \(why)",
      next: "run the drill without --stop")
  }

  /// It was stopped, and steps again or does not.
  static func resume(
    _ job: JobID, hasStepped: Bool, isSaved: Bool, handoff: Handoff?, patience: TimeSpan
  ) -> DrillCheck {
    guard hasStepped else {
      return DrillCheck(
        name: "resume", subject: "\(job)", passed: false, detail: "it made no step again within \(patience)",
        next: "baton explain \(job)")
    }
    return DrillCheck(
      name: "resume", subject: "\(job)", passed: isSaved,
      detail: isSaved
        ? "it steps again; it stood still for \(handoff.map { "\($0)" } ?? "a time that is not known")"
        : "it steps again, from the beginning",
      next: isSaved ? nil : "baton run show \(job)", took: handoff?.total)
  }

  /// `later` is what the leases that outlast this one say to the job.
  static func nextLease(_ later: [Explanation.Verdict], for job: JobID) -> DrillCheck {
    func fits(_ verdict: Explanation.Verdict) -> Bool {
      switch verdict.refusal {
      case nil, .leaseNotStarted, .nodesBusy, .behind: true
      default: false
      }
    }
    if let next = later.first(where: fits) {
      let when = next.refusal.map { ": \($0)" } ?? " now"
      return DrillCheck(
        name: "next lease", subject: "\(job)", passed: true, detail: "it fits \(next.name) (\(next.lease))\(when)")
    }
    guard !later.isEmpty else {
      return DrillCheck(
        name: "next lease", subject: "\(job)", passed: true,
        detail: "there is none after this one: it will wait, saved, until there is")
    }
    let reasons = later.compactMap { verdict in verdict.refusal.map { "\(verdict.name): \($0)" } }
    return DrillCheck(
      name: "next lease", subject: "\(job)", passed: false,
      detail: "no lease after this one takes it: \(reasons.joined(separator: "; "))", next: "baton explain \(job)")
  }
}
