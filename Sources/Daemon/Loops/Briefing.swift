import Domain
import Launching
import Store
import Wire

/// What the nodes of an attempt are to be told, put together from the database.
struct Briefing {
  let brief: AttemptBrief
  let targets: [NodeTarget]

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
    brief = AttemptBrief(
      attempt: attempt.id, job: attempt.job, number: attempt.number, controllerEpoch: epoch.rawValue, spec: job.spec,
      placement: attempt.placement, addresses: nodes.map(\.request.address),
      datasets: try await store.datasets(of: attempt.job).map {
        DatasetOrder(
          id: $0.id, name: $0.name, contentID: $0.contentID, manifestKey: $0.manifestKey, total: $0.size)
      }, resume: resume, store: services.storeAccess, leaseEnd: lease.period.end,
      lastSave: try await store.lastSaveLead(of: attempt.job))
  }
}
