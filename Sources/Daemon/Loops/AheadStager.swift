import Domain
import Launching
import Logging
import Scheduling
import Store
import Wire

/// Brings data to the nodes that a job will go on on, while it still trains elsewhere or waits.
///
/// What is staged where is decided by `stagingAhead`. Nothing depends on it: an attempt stages whatever is missing by
/// itself, and goes on from what came.
struct AheadStager: Sendable {
  private static let patience = Duration.seconds(20)
  /// Changes come in bursts.
  private static let rest = Duration.milliseconds(250)
  private static let longest = Duration.seconds(30 * 86_400)

  let services: Services
  let epoch: ControllerEpoch

  /// Stages until cancelled; what is under way is cancelled with it, and what came stays on the nodes.
  func run() async {
    let bell = Bell()
    let token = services.hub.listen { change in
      switch change {
      case .job, .lease, .attempt, .node, .everything: bell.ring()
      case .event, .metrics: break
      }
    }
    defer { token.cancel() }
    let stagings = AheadStagings()
    await withDiscardingTaskGroup { group in
      while !Task.isCancelled {
        var pause = Self.patience
        do {
          for (staging, stop) in stagings.want(try await wanted(stagings.underWay), at: .now) {
            group.addTask {
              await carryOut(staging, stop, stagings)
              // A place is free.
              bell.ring()
            }
          }
        } catch {
          services.logger.warning("staging ahead: \(error)")
        }
        let now = ContinuousClock.now
        if let next = stagings.nextTry(after: now) { pause = min(pause, next - now) }
        do { try await Task.sleep(for: Self.rest) } catch { return }
        await bell.sleep(atMost: pause)
      }
      group.cancelAll()
    }
  }

  private func wanted(_ underWay: [StagingAhead]) async throws -> [StagingAhead] {
    let jobs = try await services.store.jobsToStageFor()
    if jobs.isEmpty { return [] }
    let (snapshot, takenAt) = try await services.store.snapshot()
    return stagingAhead(jobs, in: snapshot, at: takenAt, underWay: underWay)
  }

  /// Stages until all is there, it fails, or `stop` rings.
  private func carryOut(_ staging: StagingAhead, _ stop: Bell, _ stagings: AheadStagings) async {
    let failure = await withTaskGroup(of: String?.self) { group in
      group.addTask {
        do { return try await stage(staging) } catch { return "\(error)" }
      }
      group.addTask {
        await stop.sleep(atMost: Self.longest)
        return nil
      }
      defer { group.cancelAll() }
      return await group.next() ?? nil
    }
    for node in staging.nodes.keys { services.ahead.note(nil, on: node) }
    guard let failure, !Task.isCancelled else { return stagings.end(staging.key) }
    let isNews = stagings.fail(staging.key, at: .now, jitter: .random(in: 0...1))
    services.logger.info("staging ahead for \(staging.key.job) in \(staging.key.lease): \(failure)")
    guard isNews else { return }
    do {
      let reason = "its data cannot be brought ahead to \(staging.key.lease), it is tried again: \(failure)"
      _ = try await services.store.recordTrouble(of: staging.key.job, reason, by: epoch)
    } catch {
      services.logger.warning("staging ahead: the trouble could not be written down: \(error)")
    }
  }

  /// One go on all of its nodes; what is wrong in a sentence, nil where all is there.
  private func stage(_ staging: StagingAhead) async throws -> String? {
    let store = services.store
    let spec = try await store.job(staging.key.job).spec
    let versions = try await store.datasets(of: staging.key.job).filter { version in
      spec.data.contains { $0.name == version.name && $0.mode == .copy }
    }
    var nodes: [NodeRecord] = []
    for id in staging.nodes.keys.sorted() { nodes.append(try await store.node(id)) }
    let (ahead, members) = (services.ahead, nodes)
    let targets = try nodes.map(services.target)
    let orders = try await orders(staging, versions, on: nodes)
    let wish = Lending.Wish(
      lease: staging.key.lease, leaseEnd: staging.leaseEnd, datasets: orders.first?.datasets ?? [],
      takers: nodes.map(\.id), exchange: .random())
    let results = try await Lending(services: services, epoch: epoch).during(wish) { holders, _ in
      let orders = orders.map { $0.exchanging(under: wish.exchange, with: holders) }
      return await services.agents.stage(orders, on: targets) { rank, event in
        guard case .staging(let done, let total, let rate, let eta) = event else { return }
        let node = NodeRef(id: members[rank].id, name: members[rank].request.name)
        ahead.note(
          StagingAheadView(
            node: node, job: staging.key.job, datasets: versions.map(\.name), done: done, total: total, rate: rate,
            eta: eta), on: node.id)
      }
    }
    var failures: [String] = []
    for (node, result) in zip(nodes, results) {
      switch result {
      case .success(.staged(let bytes, let took, let brought)):
        _ = try await store.recordStagedAhead(
          versions.map(\.id), on: node.id, for: staging.key.job, in: staging.key.lease, bytes: bytes, took: took,
          by: epoch)
        _ = try await store.recordStaging(node: node.id, attempt: nil, brought: brought, took: took, by: epoch)
      case .success(.failed(let failure)): failures.append("\(node.request.name): \(failure)")
      case .failure(let error): failures.append("\(node.request.name): \(error)")
      }
    }
    return failures.isEmpty ? nil : failures.joined(separator: "; ")
  }

  /// What each of `nodes` is told.
  private func orders(
    _ staging: StagingAhead, _ versions: [DatasetVersionRecord], on nodes: [NodeRecord]
  ) async throws -> [StageOrder] {
    let access = try await services.dataAccess(until: staging.leaseEnd)
    var datasets: [DatasetOrder] = []
    for version in versions {
      datasets.append(try await services.datasetOrder(version, mode: .copy, until: staging.leaseEnd))
    }
    let pinned = try await services.store.wantedContent(on: staging.key.lease)
    return nodes.indices.map { rank in
      StageOrder(
        controllerEpoch: epoch.rawValue, datasets: datasets, store: access, reserve: staging.reserve, pinned: pinned,
        nodeRank: rank, nodeAddresses: nodes.map(\.request.address), exchange: nil)
    }
  }
}
