import Domain
import Wire

/// A job in a table.
struct JobRow {
  let id: String
  let link: String
  let name: String
  let project: String
  let user: String
  let badge: Badge
  let reason: String?
  let reasonDetail: String?
  let priority: Int
  let nodes: String
  let submitted: Moment
  let ended: Moment?
  let exitCode: Int?
  let attempt: Int?
  let leaseName: String?
  /// Time left of the lease.
  let left: Countdown?
  let step: String?
  let checkpoint: String?
  let checkpointAge: String?
  let atRisk: String
  /// Whether that is more than nothing.
  let isAtRisk: Bool
  /// The same in GPU-hours; nil where no ranks run.
  let workAtRisk: String?
  let lastSave: Moment?
  let lastSaveDone: String?
  /// What keeps the newest checkpoint from the store.
  let checkpointTrouble: String?
  let stagingMeter: String?
  let stagingText: String?
  /// Its group, where its file made more than one job.
  let group: GroupPlace?
  /// What the last save before the end of a lease, and what would be lost, are called: a program that cannot be asked
  /// to save is only told to leave.
  let lastSaveTitle: String
  let lossTitle: String
  /// Said of a program that cannot be asked to, while that matters.
  let saves: String?

  init(_ job: JobView, at now: Timestamp) {
    id = "\(job.id)"
    link = "/runs/\(job.id.rawValue)"
    name = job.name
    project = job.project
    user = job.user
    badge = Badge(job.state)
    reason = job.reason.isEmpty ? nil : job.reason
    reasonDetail = job.reasonDetail
    priority = job.priority
    nodes = job.nodesText
    submitted = Moment(job.submittedAt)
    ended = job.endedAt.map(Moment.init)
    exitCode = job.exitCode
    attempt = job.attempt?.number
    let live = job.state.hasAttempt ? job.attempt : nil
    leaseName = live?.leaseName
    left = live.flatMap { Countdown(to: $0.leaseEnd, from: now) }
    let forecast = live?.lastSave
    lastSave = (forecast?.at).map(Moment.init)
    lastSaveDone = forecast.map { $0.doneBy.map { "done by " + Moment($0).text } ?? "nothing measured yet" }
    checkpointTrouble = live?.checkpointTrouble?.description
    step = job.lastStep.map(grouped)
    checkpoint = job.checkpointStep.map { "step " + grouped($0) }
    checkpointAge = job.checkpointAt.map { age($0, at: now) + " ago" }
    let lost = Self.stepsAtRisk(job)
    atRisk =
      lost.map { $0 == 0 ? "nothing" : "\(grouped($0)) \($0 == 1 ? "step" : "steps")" } ?? "not known yet"
    isAtRisk = (lost ?? 0) > 0
    workAtRisk = job.loss?.work
    stagingMeter = job.staging.map {
      let part = $0.total.bytes > 0 ? Double($0.done.bytes) / Double($0.total.bytes) : 0
      return Meter(part, label: "staged \($0.done) of \($0.total)").svg
    }
    stagingText = job.staging.map { "\($0.done) of \($0.total)" }
    group = job.member.map(GroupPlace.init)
    let isAsked = job.savesByItself != true
    lastSaveTitle = isAsked ? "Last save" : "Told to leave"
    saves = isAsked || job.state.isFinal ? nil : "by itself: it cannot be asked to"
    lossTitle = isAsked ? "Lost if it ended now" : "Lost when it ends"
  }

  /// Steps after the newest durable checkpoint: what would be computed again if the nodes went now.
  ///
  /// Nil where no step is known.
  static func stepsAtRisk(_ job: JobView) -> Int? {
    job.loss?.steps ?? job.lastStep.map { max(0, $0 - (job.checkpointStep ?? 0)) }
  }
}

/// A line of the audit log in a table.
struct EventRow {
  let id: String
  let at: Moment
  let actor: String
  let action: String
  let subject: String
  let link: String
  let detail: String

  init(_ event: EventView) {
    id = "\(event.id.rawValue)"
    at = Moment(event.at)
    actor = event.actor
    action = event.action
    subject = event.subject
    link = "/events?subject=" + pathComponent(event.subject)
    detail = event.detail
  }
}

/// A lease in a table.
struct LeaseRow {
  struct Link {
    let name: String
    let path: String
  }

  let id: String
  let name: String
  let project: String
  let badge: Badge
  let degraded: Badge?
  let start: Moment
  let end: Moment
  let length: String
  /// Until it begins or ends.
  let countdown: Countdown?
  let isToCome: Bool
  let nodeNames: String
  let nodeCount: String
  let jobs: [Link]

  init(_ lease: LeaseView, at now: Timestamp) {
    id = "\(lease.id)"
    name = lease.name
    project = lease.project
    badge = Badge(lease.state)
    degraded = lease.degraded ? .degraded : nil
    start = Moment(lease.start)
    end = Moment(lease.end)
    length = rough(lease.end - lease.start).description
    isToCome = lease.state == .pending
    countdown = lease.state.isFinal ? nil : Countdown(to: isToCome ? lease.start : lease.end, from: now)
    nodeNames = lease.nodes.map(\.name).joined(separator: ", ")
    nodeCount = counted(lease.nodes.count, "node")
    jobs = lease.jobs.map { Link(name: "\($0)", path: "/runs/\($0.rawValue)") }
  }
}
