import Domain
import Launching
import Logging
import SSH
import Store
import Wire

/// Asks every node what it has, again and again.
///
/// An answer makes it ALIVE; silence makes it SUSPECT and, when it lasts, DEAD, which keeps new attempts off it and
/// does nothing to those that are on it. What an attempt that is over left on a node that answers is removed: it could
/// not be while the node was out of reach, or while nobody decided.
struct Prober: Sendable {
  /// Silent for this many probes in a row: SUSPECT.
  private static let missesToSuspect = 2
  /// Silent for this many: DEAD.
  private static let missesToDeath = 20

  let services: Services
  let epoch: ControllerEpoch

  /// Probes until cancelled: all nodes every `interval`, and a new or returned node as soon as the database tells.
  func run() async {
    let interval = Duration.seconds(services.settings.probeIntervalSeconds ?? 15)
    let bell = Bell()
    let token = services.hub.listen { change in
      if case .everything = change { bell.ring() }
    }
    defer { token.cancel() }
    var misses: [NodeID: Int] = [:]
    while !Task.isCancelled {
      do {
        misses = try await round(misses)
      } catch {
        services.logger.warning("prober: \(error)")
      }
      await bell.sleep(atMost: interval)
    }
  }

  private func round(_ before: [NodeID: Int]) async throws -> [NodeID: Int] {
    let nodes = try await services.store.nodes()
    return await withTaskGroup(of: (NodeID, Bool).self) { group in
      for node in nodes {
        group.addTask { (node.id, await self.probe(node)) }
      }
      var misses: [NodeID: Int] = [:]
      for await (node, answered) in group where !answered {
        let count = (before[node] ?? 0) + 1
        misses[node] = count
        if count >= Self.missesToDeath {
          await self.move(node, to: .dead)
        } else if count >= Self.missesToSuspect {
          await self.move(node, to: .suspect)
        }
      }
      return misses
    }
  }

  private func probe(_ node: NodeRecord) async -> Bool {
    do {
      let report = try await services.agents.probe(services.target(node))
      _ = try await services.store.updateNode(
        node.id, facts: NodeFacts(report: report, agentVersion: services.agentVersion), by: epoch)
      await clear(node)
      return true
    } catch {
      services.logger.debug("probe of \(node.request.name): \(error)")
      return false
    }
  }

  /// No process of an attempt survives it: those that are over by the database are purged.
  ///
  /// Attempts that this database does not know, or knows on other nodes, are somebody else's and left alone.
  private func clear(_ node: NodeRecord) async {
    do {
      let target = try services.target(node)
      let present = try await services.agents.list(target).attempts.map(\.attempt)
      guard !present.isEmpty else { return }
      for attempt in try await services.store.attempts(present)
      where attempt.state == .ended && attempt.nodes.contains(where: { $0.node == node.id }) {
        try await services.agents.purge(attempt.id, on: target)
        services.logger.info("what was left of \(attempt.id) on \(target.name) is removed")
      }
    } catch {
      services.logger.info("clearing \(node.request.name): \(error)")
    }
  }

  private func move(_ node: NodeID, to state: NodeState) async {
    do {
      _ = try await services.store.setNodeState(node, to: state, by: epoch)
    } catch {
      services.logger.warning("prober: \(node) to \(state): \(error)")
    }
  }
}

extension NodeFacts {
  /// What a probe found, as the store keeps it.
  init(report: NodeReport, agentVersion: String) {
    var other = report.software
    other["hostname"] = report.hostname
    other["boot id"] = report.bootID
    self.init(
      diskTotal: report.diskTotal, diskFree: report.diskFree, cores: report.cores, memory: report.memory,
      agentVersion: agentVersion,
      gpus: report.gpus.map {
        GPURecord(index: $0.index, model: $0.name, memory: $0.memory, uuid: $0.uuid, isStandIn: $0.isStandIn)
      }, other: other)
  }
}
