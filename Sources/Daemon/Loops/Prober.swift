import Domain
import Launching
import Logging
import SSH
import Store
import Synchronization
import Wire

/// Asks every node what it has, again and again.
///
/// An answer makes it ALIVE; silence makes it SUSPECT and, when it lasts, DEAD, which keeps new attempts off it and
/// does nothing to those that are on it. What an attempt that is over left on a node that answers is removed: it could
/// not be while the node was out of reach, or while nobody decided.
struct Prober: Sendable {
  /// A probe that takes longer has failed, whatever it waits for.
  private static let longestProbe = Duration.seconds(120)
  private static let pauseAfterError = Duration.seconds(1)

  let services: Services
  let epoch: ControllerEpoch

  /// Probes until cancelled: each node by itself every `interval`, and a new or returned one at once.
  func run() async {
    let interval = Duration.seconds(services.settings.probeIntervalSeconds ?? 15)
    let bell = Bell()
    let token = services.hub.listen { change in
      switch change {
      case .node, .lease, .everything: bell.ring()
      default: break
      }
    }
    defer { token.cancel() }
    let probes = Probes(ProbeSchedule(interval: interval))
    await withDiscardingTaskGroup { group in
      while !Task.isCancelled {
        var pause = Self.pauseAfterError
        do {
          let nodes = try await services.store.nodes()
          let leased = try await services.store.leases().filter { $0.state == .active }.flatMap(\.nodes)
          let due = probes.schedule.withLock {
            $0.know(nodes.map { .init(id: $0.id, isDrained: $0.isDrained) }, at: .now)
            $0.know(leased: Set(leased), at: .now)
            return $0.takeDue(at: .now)
          }
          for node in nodes where due.contains(node.id) {
            group.addTask {
              let answered = await probe(node)
              let next = probes.schedule.withLock { $0.probed(node.id, answered: answered, at: .now) }
              if let next { await move(node.id, to: next) }
              // A place is free for one that waits for it.
              if probes.schedule.withLock({ $0.hasWaiting(at: .now) }) { bell.ring() }
            }
          }
          pause = probes.schedule.withLock { $0.pause(from: .now) }
        } catch {
          services.logger.warning("prober: \(error)")
        }
        await bell.sleep(atMost: pause)
      }
      group.cancelAll()
    }
  }

  /// Whether the node answered.
  private func probe(_ node: NodeRecord) async -> Bool {
    await withTaskGroup(of: Bool.self) { group in
      group.addTask { await ask(node) }
      group.addTask {
        do { try await Task.sleep(for: Self.longestProbe) } catch { return false }
        services.logger.info("probe of \(node.request.name): no answer in \(Self.longestProbe)")
        return false
      }
      defer { group.cancelAll() }
      return await group.next() ?? false
    }
  }

  private func ask(_ node: NodeRecord) async -> Bool {
    do {
      let report = try await services.agents.probe(services.target(node))
      _ = try await services.store.updateNode(
        node.id, facts: NodeFacts(report: report, agentVersion: services.agentVersion), by: epoch)
      if let holdings = report.holdings {
        let copies = holdings.filter { $0.mode == .copy }
        // Stale where a replica came, went or was found damaged meanwhile: the next probe sees that.
        _ = try await services.store.setHoldings(
          node: node.id, verified: copies.filter(\.isVerified).map(\.contentID),
          unverified: copies.filter { !$0.isVerified }.map(\.contentID), since: node.replicasRevision, by: epoch)
      }
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
      for attempt in present {
        // Asked one by one, just before: a controller whose turn is over removes nothing.
        guard case .done(true) = try await services.store.mayPurge(attempt, on: node.id, by: epoch) else { continue }
        try await services.agents.purge(attempt, on: target)
        services.logger.info("what was left of \(attempt) on \(target.name) is removed")
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

/// The schedule, shared with the probes that are under way.
private final class Probes: Sendable {
  let schedule: Mutex<ProbeSchedule>

  init(_ schedule: ProbeSchedule) { self.schedule = Mutex(schedule) }
}

extension NodeFacts {
  /// What a probe found, as the store keeps it.
  init(report: NodeReport, agentVersion: String) {
    var other = report.software
    other["hostname"] = report.hostname
    other["boot id"] = report.bootID
    self.init(
      diskTotal: report.diskTotal, diskFree: report.diskAvailable, cores: report.cores, memory: report.memory,
      agentVersion: agentVersion,
      gpus: report.gpus.map {
        GPURecord(index: $0.index, model: $0.name, memory: $0.memory, uuid: $0.uuid, isStandIn: $0.isStandIn)
      }, other: other)
  }
}
