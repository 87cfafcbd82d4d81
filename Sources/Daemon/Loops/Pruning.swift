import Domain
import ObjectStorage
import Store

/// Removes checkpoints that nobody keeps, and none of the chunks that others share with them.
struct Pruning: Sendable {
  let services: Services
  let epoch: ControllerEpoch

  /// Marks `checkpoint` PRUNED and removes its objects, but for those that another checkpoint of the job names; what of
  /// that kind earlier prunings left and nobody names by now goes, too.
  ///
  /// False, and nothing changes, where the checkpoint is needed or was pruned before, and while nodes may still be
  /// storing checkpoints of an attempt that is over: they go on from what it resumed from, and nothing shields that then.
  /// - Throws: also where a checkpoint that is kept cannot be read, after the marking and before anything is removed.
  func prune(_ checkpoint: CheckpointRecord) async throws -> Bool {
    let store = services.store
    guard checkpoint.objectPrefix != nil else { return false }
    let unsettled = try await store.unsettledAttempts()
    guard !unsettled.contains(where: { $0.job == checkpoint.job }) else { return false }
    guard case .done = try await store.markPruned(checkpoint.id, by: epoch) else { return false }
    // Read after the marking: from now on no attempt begins with it.
    let all = try await store.checkpoints(of: checkpoint.job)
    try await CheckpointPruning(services.objects, run: checkpoint.job.run).remove(
      pruned: Self.prefixes(of: all, in: .pruned), kept: Self.prefixes(of: all, in: .durable))
    return true
  }

  private static func prefixes(of checkpoints: [CheckpointRecord], in state: CheckpointState) -> Set<String> {
    Set(checkpoints.filter { $0.state == state }.compactMap(\.objectPrefix))
  }
}
