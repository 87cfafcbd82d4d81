import Domain
import Launching
import ObjectStorage
import Store
import Wire

/// What the nodes of an attempt are to be told, put together from the database.
struct Briefing {
  let brief: AttemptBrief
  let targets: [NodeTarget]
  /// What other nodes of the lease may be asked to hand out.
  let wish: Lending.Wish

  /// Reads all that belongs to `attempt`.
  ///
  /// Throws `StoreError`, `PostgresError`.
  init(of attempt: AttemptRecord, _ services: Services, _ epoch: ControllerEpoch) async throws {
    let store = services.store
    let job = try await store.job(attempt.job)
    let lease = try await store.lease(attempt.lease)
    var nodes: [NodeRecord] = []
    for node in attempt.nodes { nodes.append(try await store.node(node.node)) }
    targets = try nodes.map(services.target)
    var resume: ResumeOrder?
    if let id = attempt.resumeCheckpoint {
      let checkpoint = try await store.checkpoint(id)
      guard let prefix = checkpoint.objectPrefix, let hash = checkpoint.manifestHash else {
        throw APIFailure(.internal, "\(id) is to be resumed from and has no objects")
      }
      resume = ResumeOrder(
        step: Int(checkpoint.step), prefix: prefix, manifestSHA256: hash, total: checkpoint.size)
    }
    var datasets: [DatasetOrder] = []
    for dataset in try await store.datasets(of: attempt.job) {
      let mode = job.spec.data.first { $0.name == dataset.name }?.mode ?? .copy
      datasets.append(try await services.datasetOrder(dataset, mode: mode, until: lease.period.end))
    }
    let exchange = ExchangeOrder.random()
    wish = Lending.Wish(
      lease: lease.id, leaseEnd: lease.period.end, datasets: datasets, takers: nodes.map(\.id), exchange: exchange)
    var brief = AttemptBrief(
      attempt: attempt.id, job: attempt.job, number: attempt.number, controllerEpoch: epoch.rawValue, spec: job.spec,
      placement: attempt.placement, addresses: nodes.map(\.request.address),
      datasets: datasets, resume: resume,
      store: try await services.storeAccess(of: attempt, until: lease.period.end),
      leaseEnd: lease.period.end,
      lastSave: try await store.lastSaveLead(of: attempt.job), exchange: exchange,
      pinned: try await store.wantedContent(on: attempt.lease))
    brief.code = try await store.code(of: attempt.job).map { code in
      CodeOrder(
        key: ObjectLayout.blob(sha256: code.sha256), sha256: code.sha256, bytes: code.bytes, folder: code.folder)
    }
    self.brief = brief
  }
}

extension ExchangeOrder {
  /// A key of 32 random bytes.
  ///
  /// A controller that takes over makes another; nodes that do not agree on one bring all from the store.
  static func random() -> ExchangeOrder {
    ExchangeOrder(key: (0..<32).map { _ in UInt8.random(in: .min ... .max) }.hexadecimal)
  }
}
