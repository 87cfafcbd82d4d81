import APIClient
import Domain
import Wire

/// Follows the demo's job: one line that lives, and a sentence for what happens to it.
struct DemoFollower {
  let story: DemoStory
  let client: BatonClient

  private var changes = JobChanges()
  private var before: JobView?
  private var loss: (step: Int, value: Double)?
  private var drawnAt = TimeSpan.zero

  init(story: DemoStory, client: BatonClient) {
    self.story = story
    self.client = client
  }

  /// A job that takes longer than this waits for something that will not come.
  private static let patience = TimeSpan.minutes(20)

  /// Looks at the job once a second until it is over; throws where it does not end COMPLETED.
  consuming func follow(_ job: JobID) async throws -> JobView {
    let end = Context.uptime() + Self.patience
    var failures = 0
    while true {
      do {
        let view = try await client.job("\(job)")
        try await lookAtLoss(view)
        failures = 0
        tell(view)
        if view.state == .completed { return view }
        if view.state.isFinal { throw Self.failure(view) }
        guard Context.uptime() < end else {
          throw CommandFailure(
            .tryLater,
            "\(view.id) is \(view.state.rawValue) (\(view.reasonDetail ?? view.reason)) after "
              + "\(Self.patience): see `baton explain \(view.id)`")
        }
      } catch let failure as ClientFailure where failure.isConnectionTrouble && failures < 30 {
        failures += 1
      }
      try await Task.sleep(for: .seconds(1))
    }
  }

  private static func failure(_ job: JobView) -> CommandFailure {
    CommandFailure(
      .foundTrouble,
      "\(job.id) ended \(job.state.rawValue) (\(job.reasonDetail ?? job.reason)): "
        + "see `baton logs \(job.id)` and `baton run show \(job.id)`")
  }

  private mutating func lookAtLoss(_ job: JobView) async throws {
    guard let step = job.lastStep, step > loss?.step ?? -1 else { return }
    do {
      let series = try await client.metrics("\(job.id.run)", "loss", after: loss?.step)
      if let last = series.steps.last, let value = series.values.last { loss = (last, value) }
    } catch let failure as ClientFailure where failure.refusal?.code == .notFound {
      // The first value is still on its way.
      return
    }
  }

  private mutating func tell(_ job: JobView) {
    let times = story.context.times()
    if changes.isNews(job) {
      clearLine()
      for sentence in Self.sentences(from: before, to: job, times) { story.say(sentence) }
      drawnAt = .zero
    }
    before = job
    let isTerminal = story.context.console.errorIsTerminal
    let now = Context.uptime()
    guard !job.state.isFinal, now - drawnAt >= .seconds(isTerminal ? 0 : 10) else { return }
    drawnAt = now
    let line = Self.line(job, loss: loss?.value, times)
    if isTerminal {
      let cut = Table.cut(line, to: story.context.console.width - 1)
      story.context.console.noteInPlace("\r\u{1B}[K" + cut)
    } else {
      story.say(line)
    }
  }

  private func clearLine() {
    if story.context.console.errorIsTerminal { story.context.console.noteInPlace("\r\u{1B}[K") }
  }

  /// The line that lives: state, step, loss, what is left of the lease, the checkpoint.
  static func line(_ job: JobView, loss: Double?, _ times: TimeText) -> String {
    var parts = ["  \(job.state.rawValue)"]
    if let staging = job.staging { parts.append("staged \(staging.done) of \(staging.total)") }
    if let step = job.lastStep { parts.append("step \(step)") }
    if let loss { parts.append("loss \(Plot.fixed(loss, 4))") }
    if job.state.hasAttempt, let attempt = job.attempt {
      parts.append("lease \(attempt.leaseName) \(times.left(attempt.leaseEnd)) left")
    }
    if let step = job.checkpointStep {
      parts.append("checkpoint step \(step)" + (job.checkpointAt.map { " \(times.relative($0))" } ?? ""))
    }
    return parts.joined(separator: "  ")
  }

  /// What a person is told when a job changes.
  static func sentences(from old: JobView?, to job: JobView, _ times: TimeText) -> [String] {
    var sentences: [String] = []
    let nodes = job.attempt?.nodes.map(\.name).joined(separator: " and ") ?? ""
    let lease = job.attempt?.leaseName ?? ""
    if let old, old.state.hasAttempt, job.state == .leaseWait {
      let saved = job.checkpointStep.map { "step \($0) is safe in the store" } ?? "nothing was saved"
      sentences.append(
        ">>> lease \(lease) ends: \(nodes) are taken away with their disks; \(saved); the job waits for the next lease")
      return sentences
    }
    if let attempt = job.attempt, job.state.hasAttempt, old?.attempt?.number != attempt.number {
      let from = attempt.resumedFromStep.map { "goes on from step \($0)" } ?? "begins"
      sentences.append(">>> attempt \(attempt.number) \(from), in lease \(lease) on \(nodes)")
    }
    switch job.state {
    case .staging: sentences.append("    the data comes to the local disks, and is checked by hash")
    case .launching: sentences.append("    every node has all it needs: the ranks are started")
    case .running: sentences.append("    it trains")
    case .checkpointing: sentences.append(">>> the lease is about to end: the program is told to save and leave")
    case .completed: sentences.append(">>> \(job.id) is COMPLETED, at step \(job.lastStep.map { "\($0)" } ?? "?")")
    case .pending, .leaseWait:
      let reason = job.reasonDetail ?? job.reason
      sentences.append("    it waits" + (reason.isEmpty ? "" : ": \(reason)"))
    case .held, .failed, .timeout, .cancelled: sentences.append("    \(JobText.line(job, times))")
    }
    return sentences
  }
}
