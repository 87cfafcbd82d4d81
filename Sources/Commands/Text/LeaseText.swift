import Domain
import Wire

/// Leases and nodes for people.
enum LeaseText {
  /// Leases.
  static func table(_ leases: [LeaseView], _ times: TimeText) -> Table {
    var table = Table([
      .init("LEASE"), .init("NAME", shrinks: true), .init("STATE"), .init("NODES", shrinks: true),
      .init("START", drops: 0), .init("END", drops: 1), .init("LEFT", isRight: true), .init("JOBS", shrinks: true),
    ])
    for lease in leases {
      table.add([
        "\(lease.id)", .init(lease.name), .init(state(lease), ink(lease.state)),
        .init(lease.nodes.map(\.name).joined(separator: ",")), .init(times.absolute(lease.start)),
        .init(times.absolute(lease.end)),
        .init(lease.state == .pending ? times.relative(lease.start) : times.left(lease.end)),
        .init(lease.jobs.isEmpty ? "-" : lease.jobs.map { "\($0)" }.joined(separator: ",")),
      ])
    }
    return table
  }

  /// One lease, in full.
  static func facts(_ lease: LeaseView, _ times: TimeText) -> Facts {
    var facts = Facts()
    facts.add("lease", "\(lease.id)", .bold)
    facts.add("name", lease.name)
    facts.add("project", lease.project)
    facts.add("state", state(lease), ink(lease.state))
    facts.add("start", times.both(lease.start))
    facts.add("end", times.both(lease.end))
    facts.add("nodes", lease.nodes.map(\.name).joined(separator: ", "))
    facts.add("jobs", lease.jobs.isEmpty ? nil : lease.jobs.map { "\($0)" }.joined(separator: ", "))
    for ahead in lease.stagingAhead ?? [] { facts.add(ahead.node.name, "\(ahead)") }
    return facts
  }

  /// What is lost when a lease is given back while `jobs` run on it.
  static func loss(of lease: LeaseView, _ jobs: [JobView], _ times: TimeText) -> String {
    let lines = jobs.map { job in
      let saved: String
      if let step = job.checkpointStep {
        saved = "last saved at step \(step)" + (job.checkpointAt.map { ", \(times.relative($0))" } ?? "")
      } else {
        saved = "never saved: it begins anew"
      }
      return Printable.line(
        "  \(job.id)  \(job.name)  \(job.lastStep.map { "at step \($0)" } ?? job.state.rawValue), \(saved)")
    }
    let count = jobs.count == 1 ? "1 job runs" : "\(jobs.count) jobs run"
    return "\(count) on lease '\(Printable.line(lease.name))' and would be ended at once, without a save:\n"
      + lines.joined(separator: "\n")
  }

  private static func state(_ lease: LeaseView) -> String {
    lease.state.rawValue + (lease.degraded ? " degraded" : "")
  }

  private static func ink(_ state: LeaseState) -> Ink? {
    switch state {
    case .active: .green
    case .ending: .yellow
    case .error: .red
    case .pending, .terminated: nil
    }
  }
}

/// Nodes for people.
enum NodeText {
  /// Nodes.
  static func table(_ nodes: [NodeView], _ times: TimeText) -> Table {
    var table = Table([
      .init("NODE", shrinks: true), .init("TYPE", drops: 2), .init("STATE"), .init("GPUS", shrinks: true, drops: 3),
      .init("DISK-FREE", isRight: true, drops: 1), .init("SEEN", drops: 0), .init("LEASE"), .init("JOB"),
      .init("DETAIL", shrinks: true),
    ])
    for node in nodes {
      table.add([
        .init(node.name), .init(node.nodeType), .init(state(node), ink(node.state)), .init(gpus(node)),
        .init(node.diskFree.map { "\($0)" } ?? "-"), .init(node.lastSeen.map(times.relative) ?? "never"),
        .init(node.lease.map { "\($0)" } ?? (node.heldByOthers ? "others" : "-")),
        .init(node.job.map { "\($0)" } ?? "-"), .init(node.detail ?? ""),
      ])
    }
    return table
  }

  /// One node, in full.
  static func facts(_ node: NodeView, _ times: TimeText) -> Facts {
    var facts = Facts()
    facts.add("node", "\(node.name) (\(node.id))", .bold)
    facts.add("state", state(node), ink(node.state))
    facts.add("because", node.detail)
    facts.add("type", node.nodeType)
    facts.add("login", "\(node.user)@\(node.address) port \(node.port)")
    facts.add("host key", node.hostKeyFingerprint)
    facts.add("gpus", gpus(node))
    facts.add("cores", node.cores.map { "\($0)" })
    facts.add("memory", node.memory.map { "\($0)" })
    facts.add("disk", node.diskTotal.map { "\(node.diskFree.map { "\($0)" } ?? "?") free of \($0)" })
    facts.add("last seen", node.lastSeen.map(times.both) ?? "never")
    facts.add("lease", node.lease.map { "\($0)" } ?? (node.heldByOthers ? "in use by another project" : nil))
    facts.add("job", node.job.map { "\($0)" })
    facts.add("data", node.stagingAhead.map { "\($0)" })
    for (name, version) in node.software.sorted(by: { $0.key < $1.key }) { facts.add(name, version) }
    return facts
  }

  /// The steps of a check.
  static func check(_ check: NodeCheck) -> Table {
    var table = Table([.init(check.node.name), .init(""), .init("TOOK", isRight: true), .init("FOUND", wraps: true)])
    for step in check.steps {
      table.add([
        .init(step.name), .init(step.passed ? "ok" : "FAILED", step.passed ? .green : .red), "\(step.took)",
        .init(step.detail),
      ])
    }
    return table
  }

  private static func state(_ node: NodeView) -> String {
    node.state.rawValue + (node.drained ? " drained" : "")
  }

  private static func ink(_ state: NodeState) -> Ink? {
    switch state {
    case .alive: .green
    case .suspect: .yellow
    case .dead: .red
    case .absent: nil
    }
  }

  /// `4 x NVIDIA A100`; a stand-in of the lab is called that.
  private static func gpus(_ node: NodeView) -> String {
    guard !node.gpus.isEmpty else { return "-" }
    var counts: [(name: String, count: Int)] = []
    for gpu in node.gpus {
      let name = gpu.model + (gpu.isStandIn && !gpu.model.contains("stand-in") ? " (stand-in)" : "")
      if let index = counts.firstIndex(where: { $0.name == name }) {
        counts[index].count += 1
      } else {
        counts.append((name, 1))
      }
    }
    return counts.map { "\($0.count) x \($0.name)" }.joined(separator: ", ")
  }
}
