import Domain
import Launching
import Logging
import Store
import Wire

/// What a person does with the copies of a data set on nodes: brings them, removes them, has them read.
struct DataStaging: Sendable {
  let services: Services
  let epoch: ControllerEpoch
  let actor: Actor

  // MARK: Bringing

  /// Brings a version to all nodes of an ACTIVE lease, and has it stay there until the lease ends.
  ///
  /// Nodes bring it together, and get what others of the lease hold from those: each byte comes from the store once for
  /// the lease. Cancelling ends it; what came is kept. A node on which
  /// it failed is in the report, and nothing is thrown for it.
  func stage(
    _ version: DatasetVersionRecord, on lease: LeaseRecord, mode: StagingMode,
    progress: @escaping @Sendable (DataProgress) async -> Void
  ) async throws -> StageReport {
    guard lease.state == .active else {
      throw APIFailure(.wrongState, "lease '\(lease.name)' is \(lease.state.rawValue): data is brought to ACTIVE ones")
    }
    if mode == .shards, version.pack == nil {
      throw APIFailure(
        .wrongState, "\(version.name) version \(version.version) is not packed: `baton data pack \(version.name)` first"
      )
    }
    var nodes: [NodeRecord] = []
    for node in lease.nodes { nodes.append(try await services.store.node(node)) }
    let targets = try nodes.map(services.target)
    let orders = try await orders(version, lease, mode, nodes)
    let wish = Lending.Wish(
      lease: lease.id, leaseEnd: lease.period.end, datasets: orders.first?.datasets ?? [], takers: nodes.map(\.id),
      exchange: .random())
    try await services.store.wantDataset(version, on: lease.id, by: actor)
    let names = nodes.map(\.request.name)
    let results = try await Lending(services: services, epoch: epoch).during(wish) { holders, _ in
      let orders = orders.map { $0.exchanging(under: wish.exchange, with: holders) }
      return await services.agents.stage(orders, on: targets) { rank, event in
        switch event {
        case .staging(let done, let total, let rate, let eta):
          await progress(DataProgress(node: names[rank], done: done, total: total, rate: rate, eta: eta))
        case .evicted(let replica, _):
          await forget(replica, on: targets[rank].id)
        default: break
        }
      }
    }
    var report = StageReport(name: version.name, version: version.version, lease: lease.name, nodes: [])
    for (target, result) in zip(targets, results) {
      report.nodes.append(try await outcome(result, version, mode, on: target))
    }
    return report
  }

  private func orders(
    _ version: DatasetVersionRecord, _ lease: LeaseRecord, _ mode: StagingMode, _ nodes: [NodeRecord]
  ) async throws -> [StageOrder] {
    let order = try await services.datasetOrder(version, mode: mode, until: lease.period.end)
    let store = try await services.dataAccess(until: lease.period.end)
    let pinned = try await services.store.wantedContent(on: lease.id)
    return nodes.indices.map { rank in
      StageOrder(
        controllerEpoch: epoch.rawValue, datasets: [order], store: store, reserve: .zero, pinned: pinned,
        nodeRank: rank, nodeAddresses: nodes.map(\.request.address), exchange: nil)
    }
  }

  private func outcome(
    _ result: Result<StagingResult, any Error>, _ version: DatasetVersionRecord, _ mode: StagingMode,
    on target: NodeTarget
  ) async throws -> StageReport.Node {
    switch result {
    case .success(.staged(let bytes, let took, let brought)):
      if mode == .copy {
        _ = try await services.store.setReplica(node: target.id, version: version.id, state: .verified, by: epoch)
      }
      _ = try await services.store.recordStaging(node: target.id, attempt: nil, brought: brought, took: took, by: epoch)
      return .init(node: target.name, bytes: bytes, took: took)
    case .success(.failed(let failure)):
      return .init(node: target.name, bytes: .zero, took: .zero, failure: "\(failure)")
    case .failure(let error):
      return .init(node: target.name, bytes: .zero, took: .zero, failure: "\(NodeTrouble(error))")
    }
  }

  private func forget(_ replica: String, on node: NodeID) async {
    do {
      _ = try await services.store.removeReplicas(node: node, contentID: replica, by: epoch)
    } catch {
      // The next probe says so again.
      services.logger.info("\(node) evicted \(replica): \(error)")
    }
  }

  // MARK: Removing

  /// Removes all copies of `versions` from `nodes`: whole, partial, and shares.
  ///
  /// What an attempt uses stays, and is counted. Throws only for the database.
  func evict(_ versions: [DatasetVersionRecord], from nodes: [NodeRecord]) async throws -> EvictReport {
    let contents = Array(Set(versions.map(\.contentID))).sorted()
    let results = await withTaskGroup(of: (Int, Result<EvictionReport, any Error>).self) { group in
      for (index, node) in nodes.enumerated() {
        group.addTask {
          do {
            return (index, .success(try await services.agents.evict(contents, on: services.target(node))))
          } catch {
            return (index, .failure(error))
          }
        }
      }
      return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
    }
    var report = EvictReport(nodes: [])
    for (index, node) in nodes.enumerated() {
      var line = EvictReport.Node(node: node.request.name, bytes: .zero, removed: 0, inUse: 0)
      switch results[index] {
      case .success(let done):
        line.bytes = done.removed.reduce(.zero) { $0 + $1.bytes }
        line.removed = done.removed.count
        line.inUse = done.inUse.count
        for replica in done.removed where replica.mode == .copy {
          _ = try await services.store.removeReplicas(node: node.id, contentID: replica.contentID, by: epoch)
        }
      case .failure(let error): line.failure = "\(NodeTrouble(error))"
      case nil: line.failure = "it was not asked"
      }
      report.nodes.append(line)
    }
    return report
  }

  // MARK: Reading back

  /// Has `nodes` read their copies of a version, and writes down which are damaged.
  func verify(
    _ version: DatasetVersionRecord, on nodes: [NodeRecord],
    progress: @escaping @Sendable (DataProgress) async -> Void
  ) async throws -> [DataVerification.Place] {
    try await withThrowingTaskGroup(of: (Int, DataVerification.Place).self) { group in
      for (index, node) in nodes.enumerated() {
        group.addTask {
          await progress(DataProgress(node: node.request.name, total: version.size))
          let place = try await verify(version, on: node)
          await progress(DataProgress(node: node.request.name, done: place.bytes, total: place.bytes))
          return (index, place)
        }
      }
      var places: [Int: DataVerification.Place] = [:]
      for try await (index, place) in group { places[index] = place }
      return nodes.indices.compactMap { places[$0] }
    }
  }

  private func verify(
    _ version: DatasetVersionRecord, on node: NodeRecord
  ) async throws -> DataVerification.Place {
    let report: VerificationReport
    do {
      report = try await services.agents.verify([version.contentID], on: services.target(node))
    } catch {
      return .init(
        node: node.request.name, files: 0, bytes: .zero, damaged: [], failure: "\(NodeTrouble(error))")
    }
    // A whole copy is called as its content is.
    if let copy = report.replicas.first(where: { $0.name == version.contentID }) {
      _ = try await services.store.setReplica(
        node: node.id, version: version.id, state: copy.corrupt.isEmpty ? .verified : .corrupt, by: epoch)
    }
    return .init(
      node: node.request.name, files: report.replicas.reduce(0) { $0 + $1.files },
      bytes: report.replicas.reduce(.zero) { $0 + $1.bytes }, damaged: report.replicas.flatMap(\.corrupt))
  }
}
