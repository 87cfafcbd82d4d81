import Domain
import ObjectStorage
import Store

/// Removes checkpoints from the object store.
struct Pruner: Sendable {
  private static let pageSize = 1000

  let services: Services
  let actor: Actor

  /// Removes `checkpoint`; false where it is held, or was removed already.
  ///
  /// Marked first, removed then: nobody resumes from half of one, and a process that dies in between leaves only waste.
  func prune(_ checkpoint: CheckpointRecord) async throws -> Bool {
    guard let prefix = checkpoint.objectPrefix,
      case .done = try await services.store.markPruned(checkpoint.id, by: actor)
    else { return false }
    try await services.objects.delete(ObjectLayout.manifest(checkpoint: prefix))
    var marker: String?
    repeat {
      let page = try await services.objects.list(prefix: prefix, after: marker, limit: Self.pageSize)
      for entry in page.entries { try await services.objects.delete(entry.key) }
      marker = page.next
    } while marker != nil
    return true
  }

  /// The checkpoints of `job` that its policy does not keep at `now`, oldest first.
  func unwanted(of job: JobRecord, at now: Timestamp) async throws -> [CheckpointRecord] {
    let keep = job.spec.checkpoint.keep
    let candidates = try await services.store.retentionCandidates(of: job.id, metric: keep.metric)
    let ids = Set(keep.prunable(candidates, at: now))
    if ids.isEmpty { return [] }
    return try await services.store.checkpoints(of: job.id).filter { ids.contains($0.id) }.reversed()
  }
}

/// Reads a checkpoint back, and writes down what was found.
struct Verifier: Sendable {
  let services: Services
  let actor: Actor

  /// What is wrong with `checkpoint`, which is CORRUPT then; nil where nothing is.
  ///
  /// Throws where that cannot be told, and changes nothing then.
  func fault(
    in checkpoint: CheckpointRecord, prefix: String, progress: (Int64) async -> Void = { _ in }
  ) async throws -> CheckpointFault? {
    do {
      let found = try await verifyCheckpoint(services.objects, prefix: prefix, progress: progress)
      guard found.manifestSHA256 == checkpoint.manifestHash else {
        throw CheckpointFault.badManifest("it is another one than was committed")
      }
      _ = try await services.store.markVerified(checkpoint.id)
      return nil
    } catch let fault as CheckpointFault {
      // One that was removed while it was read is not corrupt.
      guard try await services.store.checkpoint(checkpoint.id).state == .durable else { return nil }
      _ = try await services.store.markCorrupt(checkpoint.id, detail: "\(fault)", by: actor)
      return fault
    }
  }
}
