public import Domain
public import Wire

/// What `/runs` shows.
public struct RunsContent: Hashable, Sendable {
  /// The jobs, newest first.
  public var jobs: [JobView]
  /// Whether these are the newest.
  public var isFirst: Bool
  /// What the next page is before; nil where there is none.
  public var older: Int64?

  /// The content of `/runs`.
  public init(jobs: [JobView], isFirst: Bool = true, older: Int64? = nil) {
    self.jobs = jobs
    self.isFirst = isFirst
    self.older = older
  }
}

extension PageRenderer {
  /// `/queue`: jobs that are not over, and why they wait.
  public func queue(_ jobs: [JobView], at now: Timestamp, in frame: Frame) -> String {
    struct Model {
      let count: Int
      let jobs: [JobRow]
      let none: Empty?
    }
    let none = Empty(title: "The queue is empty", advice: "Submit a job:", command: "baton submit train.yaml")
    let model = Model(
      count: jobs.count, jobs: jobs.map { JobRow($0, at: now) }, none: jobs.isEmpty ? none : nil)
    return page(.queue, model, title: "Queue", section: .queue, in: frame)
  }

  /// `/runs`: all jobs, newest first.
  public func runs(_ content: RunsContent, at now: Timestamp, in frame: Frame) -> String {
    struct Model {
      let count: Int?
      let jobs: [JobRow]
      let newest: Bool
      let older: String?
      let none: Empty?
    }
    let advice = "Every job that is submitted becomes a run:"
    let none = Empty(
      title: content.isFirst ? "No run yet" : "No older run", advice: advice, command: "baton submit train.yaml")
    let isWhole = content.isFirst && content.older == nil
    let model = Model(
      count: isWhole && !content.jobs.isEmpty ? content.jobs.count : nil,
      jobs: content.jobs.map { JobRow($0, at: now) }, newest: !content.isFirst,
      older: content.older.map { "/runs?before=\($0)" }, none: content.jobs.isEmpty ? none : nil)
    return page(.runs, model, title: "Runs", section: .runs, in: frame)
  }

  /// What the chart of `leases` shows where nobody asks for another time.
  public static func leaseWindow(_ leases: [LeaseView], at now: Timestamp) -> Period {
    LeaseChart.window(around: now, leases)
  }

  /// `/leases`: leases and nodes over time, and as a table, newest start first.
  ///
  /// `window` is what the chart shows, `attempts` what it shows inside the leases; `isWhole` says whether `leases` are all.
  public func leases(
    _ leases: [LeaseView], nodes: [NodeView], attempts: [AttemptBar], window: Period, isWhole: Bool = true,
    at now: Timestamp, in frame: Frame
  ) -> String {
    struct Model {
      let isPart: Bool
      let chart: String?
      let leases: [LeaseRow]
      let none: Empty?
      let noNode: Empty?
    }
    let names = nodes.map { NodeRef(id: $0.id, name: $0.name) }.sorted { ($0.name, $0.id) < ($1.name, $1.id) }
    let chart = LeaseChart(leases: leases, nodes: names, attempts: attempts, window: window, now: now)
    let none = Empty(
      title: "No lease yet", advice: "Jobs run only inside leases. Make one:",
      command: "baton lease create --nodes 2 --duration 4h")
    let noNode = Empty(
      title: "No node to lease", advice: "Add the machines first:",
      command: "baton node add NAME --address HOST --user USER --node-type TYPE --root FOLDER")
    let model = Model(
      isPart: !isWhole, chart: nodes.isEmpty ? nil : chart.html,
      leases: leases.sorted { ($0.start, $0.id) > ($1.start, $1.id) }.map { LeaseRow($0, at: now) },
      none: leases.isEmpty && !nodes.isEmpty ? none : nil, noNode: nodes.isEmpty ? noNode : nil)
    return page(.leases, model, title: "Leases", section: .leases, in: frame)
  }

  /// `/events`: the audit log, newest first.
  ///
  /// `subject` is what it is limited to, as in `job-17`; `older` the address of the next page, a path.
  public func events(_ events: [EventView], subject: String?, older: String?, in frame: Frame) -> String {
    struct Model {
      let events: [EventRow]
      let subject: String?
      let older: String?
      let none: Empty?
    }
    let none = Empty(
      title: subject == nil ? "Nothing has happened yet" : "Nothing is known of this",
      advice: "Everything that is done is listed here.", command: nil)
    let model = Model(
      events: events.map(EventRow.init), subject: subject, older: older, none: events.isEmpty ? none : nil)
    return page(.events, model, title: "Events", section: .events, in: frame)
  }

  /// `/nodes`: all machines.
  public func nodes(_ nodes: [NodeView], at now: Timestamp, in frame: Frame) -> String {
    struct Model {
      let count: Int
      let nodes: [NodeRow]
      let none: Empty?
    }
    let none = Empty(
      title: "No node yet", advice: "Add a machine, or try all of it on this one with `baton lab up`:",
      command: "baton node add NAME --address HOST --user USER --node-type TYPE --root FOLDER")
    let model = Model(
      count: nodes.count, nodes: nodes.map { NodeRow($0, at: now) }, none: nodes.isEmpty ? none : nil)
    return page(.nodes, model, title: "Nodes", section: .nodes, in: frame)
  }

  /// `/login`: asks for a token.
  ///
  /// `problem` says what was wrong with the last one; `next` is the path to go on to.
  public func login(problem: String?, next: String) -> String {
    struct Model {
      let problem: String?
      let next: String
    }
    return page(.login, Model(problem: problem, next: next), title: "Sign in", section: nil, in: Frame())
  }

  /// Says what went wrong, in the layout of every page.
  public func problem(_ failure: APIFailure, in frame: Frame) -> String {
    struct Model {
      let title: String
      let message: String
      let details: [String]
      let code: String
    }
    let title =
      switch failure.code {
      case .notFound: "There is no such thing"
      case .unauthenticated: "Please sign in"
      case .denied: "That is not allowed"
      case .unavailable: "Not at the moment"
      case .badRequest, .badJobFile, .tooLarge, .conflict, .wrongState: "That does not work"
      case .internal, .unknown: "A mistake of ours"
      }
    let model = Model(
      title: title, message: failure.message, details: failure.details, code: failure.code.rawValue)
    return page(.problem, model, title: title, section: nil, in: frame)
  }
}

/// A node in a table.
struct NodeRow {
  /// GPUs of one model.
  struct GPUs {
    let count: Int
    let model: String
    let memory: String
    let isStandIn: Bool
  }

  let id: String
  let name: String
  let address: String
  let nodeType: String
  let badge: Badge
  let drained: Badge?
  let detail: String?
  let gpus: [GPUs]
  let hasGPUs: Bool
  let cores: String?
  let memory: String?
  let diskMeter: String?
  let diskText: String?
  let seen: String?
  let lease: String?
  let heldByOthers: Bool
  let job: LeaseRow.Link?

  init(_ node: NodeView, at now: Timestamp) {
    id = "\(node.id)"
    name = node.name
    address = "\(node.user)@\(node.address):\(node.port)"
    nodeType = node.nodeType
    badge = Badge(node.state)
    drained = node.drained ? .drained : nil
    detail = node.detail
    gpus = Self.grouped(node.gpus)
    hasGPUs = !gpus.isEmpty
    cores = node.cores.map { counted($0, "core") }
    memory = node.memory.map { "\($0)" }
    let disk = node.diskTotal.flatMap { total in node.diskFree.map { (total: total, free: $0) } }
    diskText = disk.map { "\($0.free) free of \($0.total)" }
    diskMeter = disk.map { disk in
      let used = disk.total.bytes > 0 ? 1 - Double(disk.free.bytes) / Double(disk.total.bytes) : 0
      return Meter(
        used, label: "\(disk.free) free of \(disk.total)", tone: used > 0.95 ? .bad : used > 0.85 ? .warning : .busy
      ).svg
    }
    seen = node.lastSeen.map { age($0, at: now) + " ago" }
    lease = node.lease.map { "\($0)" }
    heldByOthers = node.heldByOthers
    job = node.job.map { LeaseRow.Link(name: "\($0)", path: "/runs/\($0.rawValue)") }
  }

  /// Equal ones together, in the order in which they come.
  private static func grouped(_ gpus: [NodeView.GPU]) -> [GPUs] {
    var groups: [GPUs] = []
    for gpu in gpus {
      let memory = "\(gpu.memory)"
      let place = groups.firstIndex {
        $0.model == gpu.model && $0.memory == memory && $0.isStandIn == gpu.isStandIn
      }
      let count = place.map { groups[$0].count + 1 } ?? 1
      let group = GPUs(count: count, model: gpu.model, memory: memory, isStandIn: gpu.isStandIn)
      if let place { groups[place] = group } else { groups.append(group) }
    }
    return groups
  }
}
