import Domain
import Hummingbird
import Launching
import SSH
import Store
import Wire

/// Nodes over HTTP.
enum NodeRoutes {
  static let all: [Route] = [
    Route(
      method: .get, path: "/nodes", access: .viewer, summary: "All nodes", gives: Listing<NodeView>.self
    ) { call in
      let items = try await NodeView.build(
        call.services.store.nodes(), for: call.projectFilter, call.services)
      return try await .json(Listing(now: call.services.store.now(), items: items))
    },
    Route(
      method: .post, path: "/nodes", access: .admin,
      summary: "Add a node. Without a host key nothing is added: the answer holds the key that the node shows",
      takes: NodeRequest.self, gives: NodeCheck.self
    ) { call in
      let request: NodeRequest = try await call.body()
      let key = try await hostKey(of: request)
      let stored = NewNode(
        name: request.name, address: request.address, port: request.port, sshUser: request.user,
        hostKey: key.description, rootPath: request.rootPath, nodeType: request.nodeType)
      let record = try await call.services.store.addNode(stored, by: call.principal.actor)
      return try await .json(
        NodeChecking(services: call.services, project: call.projectFilter).check(record), status: .created)
    },
    Route(method: .get, path: "/nodes/{node}", access: .viewer, summary: "One node", gives: NodeView.self) { call in
      try await .json(view(find(call), call))
    },
    Route(
      method: .delete, path: "/nodes/{node}", access: .admin, summary: "Forget a node that was never used",
      gives: NodeView.self
    ) { call in
      let node = try await find(call)
      let before = try await view(node, call)
      try await call.services.store.removeNode(node.id, by: call.principal.actor)
      return try .json(before)
    },
    Route(
      method: .post, path: "/nodes/{node}/check", access: .user, summary: "Reach a node, step by step",
      gives: NodeCheck.self
    ) { call in
      try await .json(NodeChecking(services: call.services, project: call.projectFilter).check(find(call)))
    },
    Route(
      method: .post, path: "/nodes/{node}/drain", access: .admin, summary: "Keep new attempts off a node",
      gives: NodeView.self
    ) { call in
      let node = try await find(call)
      let reason = call.query("reason") ?? "drained by \(call.principal.userName)"
      let result = try await call.services.store.drainNode(node.id, reason: reason, by: call.principal.actor)
      guard !result.isStale else { throw APIFailure(.wrongState, "node '\(node.request.name)' is drained already") }
      return try await .json(view(call.services.store.node(node.id), call))
    },
    Route(
      method: .post, path: "/nodes/{node}/undrain", access: .admin, summary: "Let attempts onto a node again",
      gives: NodeView.self
    ) { call in
      let node = try await find(call)
      let result = try await call.services.store.undrainNode(node.id, by: call.principal.actor)
      guard !result.isStale else { throw APIFailure(.wrongState, "node '\(node.request.name)' is not drained") }
      return try await .json(view(call.services.store.node(node.id), call))
    },
  ]

  /// The node that the path names: `3`, `node-3`, or a name.
  static func find(_ call: Call) async throws -> NodeRecord { try await find(call.parameter("node"), call) }

  /// The node that `text` names.
  static func find(_ text: String, _ call: Call) async throws -> NodeRecord {
    if let id = try await call.services.store.node(named: text) ?? NodeID(text: text) {
      return try await call.services.store.node(id)
    }
    throw APIFailure(.notFound, "there is no node '\(text)': `baton node list` shows them")
  }

  private static func view(_ record: NodeRecord, _ call: Call) async throws -> NodeView {
    guard let view = try await NodeView.build([record], for: call.projectFilter, call.services).first else {
      throw APIFailure(.notFound, "there is no \(record.id)")
    }
    return view
  }

  /// The key that was given, or a refusal that shows the one which the node presents.
  private static func hostKey(of request: NodeRequest) async throws -> HostKey {
    if let text = request.hostKey {
      guard let key = HostKey(text) else {
        throw APIFailure(
          .badRequest, "'\(text.prefix(60))' is not a host key: give it as in known_hosts, `ssh-ed25519 AAAA...`")
      }
      return key
    }
    let endpoint = SSHEndpoint(host: request.address, port: UInt16(clamping: request.port), user: request.user)
    let shown = try await HostKeyScan.fetch(endpoint)
    throw APIFailure(
      .conflict,
      "the node shows the host key \(shown.fingerprint): compare it with what the node's console says, then add the "
        + "node again with this key",
      details: [shown.description])
  }
}

/// Reaches a node step by step, to tell a person what is wrong with it.
struct NodeChecking: Sendable {
  private static let clockTolerance = TimeSpan.seconds(5)

  let services: Services
  /// Who asks; nil sees everything.
  let project: ProjectID?

  /// Stops at the first step that fails.
  ///
  /// Never throws for what is wrong with the node.
  func check(_ record: NodeRecord) async throws -> NodeCheck {
    var steps: [NodeCheck.Step] = []
    let target = try services.target(record)
    let clock = ContinuousClock()

    func step(_ name: String, _ body: () async throws -> String) async -> Bool {
      let start = clock.now
      do {
        let detail = try await body()
        steps.append(.init(name: name, passed: true, detail: detail, took: .init(clock.now - start)))
        return true
      } catch {
        let failure = APIFailure(describing: error, logger: services.logger)
        steps.append(.init(name: name, passed: false, detail: failure.message, took: .init(clock.now - start)))
        return false
      }
    }

    let reached = await step("login") {
      try await services.agents.reach(target)
      return "\(target.endpoint) with host key \(target.hostKey.fingerprint)"
    }
    if reached,
      await step(
        "agent",
        {
          try await services.agents.ensureAgent(on: target)
          return "version \(services.agentVersion) is in place"
        })
    {
      var report: NodeReport?
      _ = await step("probe") {
        let found = try await services.agents.probe(target)
        report = found
        return "\(counted(found.cores, "core")), \(found.memory) memory, \(counted(found.gpus.count, "GPU"))"
      }
      if let report { try await judge(report, of: record, into: &steps) }
    }
    let node = try await services.store.node(record.id)
    guard let view = try await NodeView.build([node], for: project, services).first else {
      throw APIFailure(.notFound, "there is no \(record.id)")
    }
    return NodeCheck(node: view, steps: steps)
  }

  private func judge(_ report: NodeReport, of record: NodeRecord, into steps: inout [NodeCheck.Step]) async throws {
    if let epoch = services.leadership.epoch {
      _ = try await services.store.updateNode(
        record.id, facts: NodeFacts(report: report, agentVersion: services.agentVersion), by: epoch)
    }
    steps.append(
      .init(
        name: "disk", passed: report.diskFree.bytes > 0,
        detail: "\(report.diskFree) of \(report.diskTotal) free below \(record.request.rootPath)", took: .zero))
    let skew = report.clock - (try await services.store.now())
    let isClose = skew < Self.clockTolerance && TimeSpan.zero - skew < Self.clockTolerance
    steps.append(
      .init(
        name: "clock", passed: isClose,
        detail: isClose
          ? "within \(Self.clockTolerance) of the database's"
          : "it is off by \(skew); Baton does not depend on it, people who read logs do: run an NTP client",
        took: .zero))
  }
}

extension TimeSpan {
  /// A standard library duration, to the microsecond.
  init(_ duration: Duration) {
    let parts = duration.components
    self.init(microseconds: parts.seconds * 1_000_000 + parts.attoseconds / 1_000_000_000_000)
  }
}

extension Duration {
  /// A length of time, to the microsecond.
  init(_ span: TimeSpan) { self = .microseconds(span.microseconds) }
}
