import Domain
import ObjectStorage
import Store

/// Removes checkpoints that nobody keeps from the object store, and none of the chunks that others share with them.
struct Pruner: Sendable {
  /// What was removed.
  struct Pruned: Sendable {
    var checkpoints: [CheckpointID] = []
    /// What that freed: less than their sizes where others have the same chunks.
    var bytes = ByteCount.zero
  }

  let services: Services
  let actor: Actor

  /// Removes those of `checkpoints`, which are all of `job`, that nobody holds and that were not removed before.
  ///
  /// Marked first, removed then: nobody resumes from half of one, and a process that dies in between leaves only waste,
  /// which goes when the next checkpoint of the job does. Chunks that another checkpoint of the job names stay.
  /// - Throws: also where a checkpoint that is kept cannot be read, after the marking and before anything is removed.
  func prune(_ checkpoints: [CheckpointRecord], of job: JobID) async throws -> Pruned {
    var result = Pruned()
    for checkpoint in checkpoints where checkpoint.objectPrefix != nil {
      guard case .done(let id) = try await services.store.markPruned(checkpoint.id, by: actor) else { continue }
      result.checkpoints.append(id)
    }
    if result.checkpoints.isEmpty { return result }
    // Read after the marking: from now on no attempt begins with any of them.
    let all = try await services.store.checkpoints(of: job)
    result.bytes = try await CheckpointPruning(services.objects, run: job.run).remove(
      pruned: Self.prefixes(of: all, in: .pruned), kept: Self.prefixes(of: all, in: .durable))
    return result
  }

  private static func prefixes(of checkpoints: [CheckpointRecord], in state: CheckpointState) -> Set<String> {
    Set(checkpoints.filter { $0.state == state }.compactMap(\.objectPrefix))
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
