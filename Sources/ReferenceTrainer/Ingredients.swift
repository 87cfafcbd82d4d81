import FoundationEssentials

/// What this run needs to go on exactly, as Baton's contract has it told: a word or a digest for each thing.
///
/// All random numbers are drawn from the seed, the epoch and the image, so there is no stream to keep.
struct Ingredients: Equatable, Sendable {
  /// By name, as in `weights`.
  var words: [String: String]

  /// Those of a run that is at `checkpoint`, with its images in an order of this `orderDigest`.
  init(_ checkpoint: Checkpoint, orderDigest: String) {
    let state = checkpoint.state
    words = [
      "weights": Self.digest(checkpoint.parameters), "optimizer": Self.digest(checkpoint.velocities),
      "rng.seed": "\(state.seed)",
      "data_order": "epoch \(state.sampler.epoch) position \(state.sampler.position) permutation \(orderDigest)",
      "world_size": "\(state.worldSize)", "library.kernel": state.kernel, "data_order.data": state.datasetDigest,
    ]
  }

  private static func digest(_ values: [Float]) -> String {
    var fingerprint = Fingerprint()
    values.withUnsafeBytes { fingerprint.add($0) }
    return fingerprint.hex
  }

  /// `baton-state.json`: rank 0 tells for all, since all have the same.
  func file(step: Int) throws(TrainerError) -> [UInt8] {
    try Self.encoded(StateFile(version: 1, step: step, ranks: ["0": words]))
  }

  /// The line that says what was loaded.
  func line(step: Int) throws(TrainerError) -> [UInt8] {
    try Self.encoded(LoadedLine(state: "loaded", step: step, rank: 0, ingredients: words))
  }

  private struct StateFile: Encodable {
    var version: Int
    var step: Int
    var ranks: [String: [String: String]]
  }

  private struct LoadedLine: Encodable {
    var state: String
    var step: Int
    var rank: Int
    var ingredients: [String: String]
  }

  private static func encoded(_ value: some Encodable) throws(TrainerError) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    do {
      return Array(try encoder.encode(value))
    } catch {
      throw TrainerError(.writeFailed, "the ingredients of the run cannot be written as JSON: \(error)")
    }
  }
}
