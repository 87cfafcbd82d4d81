import Domain
import Wire

/// Jobs for people.
enum JobText {
  /// The queue; with members of a group that wait alike in one row where it `isCompact`.
  static func queue(_ jobs: [JobView], _ times: TimeText, isCompact: Bool = true) -> Table {
    var table = Table([
      .init("JOB"), .init("NAME", shrinks: true), .init("STATE"), .init("REASON", drops: 4),
      .init("NODES", shrinks: true, drops: 1), .init("ATTEMPT", isRight: true, drops: 0),
      .init("LEASE-LEFT", isRight: true, drops: 2), .init("STEP", isRight: true, drops: 5),
      .init("CHECKPOINT", drops: 3), .init("LOSS", drops: 6),
    ])
    for row in isCompact ? GroupText.rows(jobs) : jobs.map(GroupText.Row.job) {
      guard case .job(let job) = row else {
        guard case .more(let job, let count) = row, let group = job.member?.group else { continue }
        table.add([
          "\(group)", .init("and \(count) more"), .init(job.state.rawValue, ink(job.state)), .init(job.reason), "", "",
          "",
          "", "", "",
        ])
        continue
      }
      table.add([
        "\(job.id)", .init(job.name), .init(job.state.rawValue, ink(job.state)), .init(job.reason),
        .init(nodes(job)), .init(job.attempt.map { "\($0.number)" } ?? "-"), .init(leaseLeft(job, times)),
        .init(job.lastStep.map { "\($0)" } ?? "-"), .init(checkpointInShort(job, times)),
        .init(job.loss?.description ?? "-"),
      ])
    }
    return table
  }

  /// The colour of a state.
  static func ink(_ state: JobState) -> Ink? {
    switch state {
    case .running, .completed: .green
    case .failed, .timeout: .red
    case .leaseWait, .checkpointing, .staging, .launching: .yellow
    case .pending, .held, .cancelled: nil
    }
  }

  private static func nodes(_ job: JobView) -> String {
    guard job.state.hasAttempt, let attempt = job.attempt else { return job.nodesText }
    return attempt.nodes.map(\.name).joined(separator: ",")
  }

  private static func leaseLeft(_ job: JobView, _ times: TimeText) -> String {
    guard job.state.hasAttempt, let attempt = job.attempt else { return "-" }
    return times.left(attempt.leaseEnd)
  }

  private static func checkpoint(_ job: JobView, _ times: TimeText) -> String {
    guard let step = job.checkpointStep else { return "-" }
    return "step \(step)" + (job.checkpointAt.map { " (\(times.relative($0)))" } ?? "")
  }

  /// The same for the queue, with the step that is in trouble; `baton job show` tells with what.
  private static func checkpointInShort(_ job: JobView, _ times: TimeText) -> String {
    guard let trouble = job.attempt?.checkpointTrouble else { return checkpoint(job, times) }
    return "\(checkpoint(job, times)), \(trouble.step) \(trouble.isRejected ? "rejected" : "waits")"
  }

  /// One job, in full.
  static func facts(_ job: JobView, _ times: TimeText) -> Facts {
    var facts = Facts()
    facts.add("job", "\(job.id)", .bold)
    facts.add("name", job.name)
    facts.add("state", job.state.rawValue + (job.reason.isEmpty ? "" : " (\(job.reason))"), ink(job.state))
    facts.add("because", job.reasonDetail)
    facts.add(
      "group",
      job.member.map { member in
        let values = member.values.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
        return "\(member.group), index \(member.index)" + (values.isEmpty ? "" : ": " + values.joined(separator: ", "))
      })
    facts.add("project", "\(job.project) (\(job.user))")
    facts.add("priority", "\(job.priority)")
    facts.add("submitted", times.both(job.submittedAt))
    facts.add("started", job.startedAt.map(times.both))
    facts.add("ended", job.endedAt.map(times.both))
    facts.add("exit code", job.exitCode.map { "\($0)" })
    if let attempt = job.attempt {
      facts.add("attempt", "\(attempt.number) on \(attempt.nodes.map(\.name).joined(separator: ", "))")
      facts.add("lease", "\(attempt.leaseName) (\(attempt.lease)), until \(times.both(attempt.leaseEnd))")
      facts.add(
        job.savesByItself == true ? "told to leave" : "last save", attempt.lastSave.map { lastSave($0, times) })
    }
    facts.add("staging", job.staging.map { "\($0.done) of \($0.total)" })
    facts.add("step", job.lastStep.map { "\($0)" })
    facts.add("checkpoint", job.checkpointStep == nil ? nil : checkpoint(job, times))
    facts.add("not in the store", job.attempt?.checkpointTrouble?.description, .yellow)
    let isAsked = job.savesByItself != true
    facts.add(
      isAsked ? "lost if it ended now" : "lost when it ends",
      job.loss.map { isAsked ? "\($0)" : "\($0) by now: its program saves by itself and is not asked to" })
    facts.add("saves", isAsked || job.state.isFinal ? nil : "by itself: it cannot be asked to")
    facts.add("handoff", job.handoff?.description)
    return facts
  }

  private static func lastSave(_ forecast: LastSaveForecast, _ times: TimeText) -> String {
    "at \(times.both(forecast.at))"
      + (forecast.doneBy.map { ", done by \(times.absolute($0))" } ?? ", nothing measured yet")
  }

  /// One line, for changes as they happen.
  static func line(_ job: JobView, _ times: TimeText) -> String {
    var parts = ["\(job.id)", job.state.rawValue]
    if !job.reason.isEmpty { parts.append("(\(job.reason))") }
    if let staging = job.staging { parts.append("staged \(staging.done) of \(staging.total)") }
    if job.state.hasAttempt, let attempt = job.attempt {
      parts.append("attempt \(attempt.number) on \(attempt.nodes.map(\.name).joined(separator: ","))")
      parts.append("lease \(attempt.leaseName) \(times.left(attempt.leaseEnd)) left")
    }
    if let step = job.lastStep { parts.append("step \(step)") }
    if job.checkpointStep != nil { parts.append("checkpoint \(checkpoint(job, times))") }
    if let code = job.exitCode { parts.append("exit code \(code)") }
    return Printable.line(parts.joined(separator: "  "))
  }

  /// Why a job waits, in the server's words: the same that the planner and the dashboard use.
  static func explanation(_ answer: JobAnswer, _ times: TimeText) -> String {
    let job = answer.job.map { [line($0, times)] } ?? []
    return (job + answer.text.map { "  " + Printable.line($0) }).joined(separator: "\n")
  }
}
