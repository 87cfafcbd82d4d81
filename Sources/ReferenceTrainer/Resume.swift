/// Judges whether a checkpoint can be continued by the run as it was started now.
enum Resume {
  /// Throws unless going on from `saved` gives exactly what the run would have been without a break.
  ///
  /// - Parameters:
  ///   - fresh: the state the run would start with from the beginning.
  ///   - imageCount: images of the training part.
  ///   - allowWorldSizeChange: accept another number of ranks, which changes the order of sums.
  /// - Throws: `.mismatch` naming what differs, `.badInput` for a position that cannot be.
  static func check(
    _ saved: CheckpointState, against fresh: CheckpointState, imageCount: Int, allowWorldSizeChange: Bool
  ) throws(TrainerError) {
    try require(saved.shape == fresh.shape, "the network", "\(saved.shape)", "\(fresh.shape)")
    try require(
      saved.hyperparameters == fresh.hyperparameters, "the hyper-parameters", "\(saved.hyperparameters)",
      "\(fresh.hyperparameters)")
    try require(
      (saved.downpour == nil) == (fresh.downpour == nil), "the way of training",
      saved.downpour == nil ? "synchronous" : "downpour", fresh.downpour == nil ? "synchronous" : "downpour")
    try require(saved.seed == fresh.seed, "the seed", "\(saved.seed)", "\(fresh.seed)")
    try require(saved.datasetDigest == fresh.datasetDigest, "the data", saved.datasetDigest, fresh.datasetDigest)
    if saved.worldSize != fresh.worldSize, !allowWorldSizeChange {
      throw TrainerError(
        .mismatch,
        "the checkpoint was written by \(saved.worldSize) ranks, this run has \(fresh.worldSize): "
          + "sums would be taken in another order and the last bits would differ",
        advice: "Start \(saved.worldSize) ranks, or accept that with --allow-world-size-change.")
    }
    if let downpour = saved.downpour {
      // No worker can go on in the middle of another one's share of the images.
      guard downpour.workers.count == fresh.worldSize else {
        throw TrainerError(
          .mismatch, "the checkpoint is of \(downpour.workers.count) Downpour workers, this run has \(fresh.worldSize)",
          advice: "Start \(downpour.workers.count) ranks.")
      }
      for (rank, worker) in downpour.workers.enumerated() {
        let share = Sampler.share(of: (0..<imageCount).map(\.self)[...], rank: rank, worldSize: fresh.worldSize)
        guard worker.steps >= 0, worker.sampler.epoch >= 0, (0..<share.count).contains(worker.sampler.position) else {
          throw TrainerError(.badInput, "the checkpoint's position of worker \(rank) (\(worker)) cannot be")
        }
      }
    }
    guard saved.step >= 0, saved.sampler.epoch >= 0, (0..<imageCount).contains(saved.sampler.position) else {
      throw TrainerError(.badInput, "the checkpoint's position (step \(saved.step), \(saved.sampler)) cannot be")
    }
  }

  private static func require(
    _ equal: Bool, _ what: String, _ saved: String, _ now: String
  ) throws(TrainerError) {
    guard !equal else { return }
    throw TrainerError(
      .mismatch, "\(what) of the checkpoint and of this run differ:\n    checkpoint: \(saved)\n    this run:   \(now)",
      advice: "Start the run as it was started first, or without BATON_RESUME_FROM.")
  }
}
