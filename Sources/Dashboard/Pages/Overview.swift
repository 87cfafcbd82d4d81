public import Domain
public import Wire

/// What `/` shows.
public struct OverviewContent: Hashable, Sendable {
  /// Jobs that are not over.
  public var jobs: [JobView]
  /// All nodes.
  public var nodes: [NodeView]
  /// Leases that are not over.
  public var leases: [LeaseView]
  /// The newest lines of the audit log, newest first.
  public var events: [EventView]

  /// The content of `/`.
  public init(jobs: [JobView], nodes: [NodeView], leases: [LeaseView], events: [EventView]) {
    self.jobs = jobs
    self.nodes = nodes
    self.leases = leases
    self.events = events
  }
}

extension PageRenderer {
  /// `/`: what runs, what would be lost if its lease ended now, and what the site looks like.
  ///
  /// `now` is the moment at which `content` is true.
  public func overview(_ content: OverviewContent, at now: Timestamp, in frame: Frame) -> String {
    page(.overview, OverviewModel(content, now), title: "Overview", section: .overview, in: frame)
  }
}

private struct OverviewModel {
  struct Tile {
    let label: String
    let value: String
    let note: String
    let tone: String
    let link: String
  }

  let tiles: [Tile]
  let running: [JobRow]
  let noneRuns: Empty?
  let leases: [LeaseRow]
  let noLease: Empty?
  let events: [EventRow]
  let noEvent: Empty?

  init(_ content: OverviewContent, _ now: Timestamp) {
    let live = content.jobs.filter(\.state.hasAttempt)
    running = live.map { JobRow($0, at: now) }
    let waiting = content.jobs.count - live.count
    noneRuns =
      !live.isEmpty
      ? nil
      : waiting > 0
        ? Empty(
          title: "Nothing runs at the moment", advice: "What waits says why in the queue; for one job:",
          command: "baton explain JOB")
        : Empty(
          title: "Nothing runs, and nothing waits", advice: "Submit a job:", command: "baton submit train.yaml")
    leases = content.leases.sorted { ($0.start, $0.id) < ($1.start, $1.id) }.map { LeaseRow($0, at: now) }
    noLease =
      content.leases.isEmpty
      ? Empty(
        title: "No lease, now or to come", advice: "Jobs run only inside leases. Make one:",
        command: "baton lease create --nodes 2 --duration 4h") : nil
    events = content.events.map(EventRow.init)
    noEvent =
      content.events.isEmpty
      ? Empty(title: "Nothing has happened yet", advice: "Everything that is done is listed here.", command: nil) : nil
    tiles = Self.tiles(content, running: live.count, waiting: waiting)
  }

  private static func tiles(_ content: OverviewContent, running: Int, waiting: Int) -> [Tile] {
    let alive = content.nodes.filter { $0.state == .alive }.count
    let troubled = content.nodes.filter { $0.state == .suspect || $0.state == .dead }
    let drained = content.nodes.filter(\.drained).count
    let trouble = [
      troubled.isEmpty ? nil : "\(troubled.count) not answering: \(troubled.map(\.name).joined(separator: ", "))",
      drained == 0 ? nil : "\(drained) drained",
    ].compactMap { $0 }
    let active = content.leases.filter { $0.state == .active || $0.state == .ending }.count
    let toCome = content.leases.filter { $0.state == .pending }.count
    let lost = content.jobs.filter(\.state.hasAttempt).compactMap(JobRow.stepsAtRisk).reduce(0, +)
    let losses = content.jobs.compactMap(\.loss)
    let work = losses.isEmpty ? "" : " (\(Loss.sum(losses).work))"
    return [
      Tile(
        label: "Running", value: "\(running)", note: waiting == 1 ? "1 waits" : "\(waiting) wait",
        tone: running > 0 ? "good" : "quiet", link: "/queue"),
      Tile(
        label: "At risk", value: grouped(lost), note: "steps since the last durable checkpoints\(work)",
        tone: lost > 0 ? "waiting" : "quiet", link: "/queue"),
      Tile(
        label: "Nodes alive", value: "\(alive)/\(content.nodes.count)",
        note: trouble.isEmpty
          ? (content.nodes.isEmpty ? "none added yet" : "all answer") : trouble.joined(separator: "; "),
        tone: troubled.isEmpty ? (alive > 0 ? "good" : "quiet") : "warning", link: "/nodes"),
      Tile(
        label: "Active leases", value: "\(active)", note: toCome == 0 ? "none to come" : "\(toCome) to come",
        tone: active > 0 ? "good" : "quiet", link: "/leases"),
    ]
  }
}
