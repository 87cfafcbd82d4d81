/// What becomes of the batch of a job that goes on on another number of ranks.
///
/// Baton does not know how a program makes its batches: it tells every rank what the rule makes of its own.
public struct BatchRule: Hashable, Sendable, Codable {
  /// What stays as it is.
  public enum Kept: String, Hashable, Sendable, Codable, CaseIterable {
    /// The batch of all ranks: each rank's part of it changes, and the steps mean the same.
    case global
    /// The batch of each rank: a step takes more, or fewer, samples in all.
    case local
  }

  /// What stays.
  public var keep: Kept
  /// Samples a step: of all ranks where `keep` is `global`, else of each; at least 1.
  public var size: Int

  /// Keeps `size` samples.
  public init(keep: Kept, size: Int) {
    self.keep = keep
    self.size = size
  }

  /// Samples that all of `ranks` take in a step.
  public func global(ranks: Int) -> Int { keep == .global ? size : size * ranks }

  /// Samples that `rank` of `ranks` takes in a step.
  ///
  /// What does not divide evenly goes to the first ranks, one each; the parts of all ranks are the global batch.
  public func local(rank: Int, of ranks: Int) -> Int {
    guard keep == .global, ranks > 0 else { return size }
    return size / ranks + (rank < size % ranks ? 1 : 0)
  }

  /// What a rank is told.
  public func variables(rank: Int, of ranks: Int) -> [String: String] {
    [
      "BATON_BATCH_KEEP": keep.rawValue, "BATON_BATCH_GLOBAL": "\(global(ranks: ranks))",
      "BATON_BATCH_LOCAL": "\(local(rank: rank, of: ranks))",
    ]
  }
}
