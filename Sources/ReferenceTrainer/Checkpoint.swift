import FoundationEssentials

/// Everything a run is between two steps.
struct Checkpoint: Sendable {
  var state: CheckpointState
  /// The flat parameters.
  var parameters: [Float]
  /// What the optimiser keeps per parameter: velocities, or of Downpour the sums of squares.
  var velocities: [Float]
}

/// The readable half of a checkpoint: `state.json`.
struct CheckpointState: Codable, Equatable, Sendable {
  /// What wrote it; a reader refuses any other.
  var format = CheckpointState.currentFormat
  /// Completed steps.
  var step: Int
  /// Seed of the run.
  var seed: UInt64
  /// Where the order of the images stands; of Downpour, where each worker has its own, what it began with.
  var sampler: Sampler.State
  /// Where each worker of Downpour stands; nil for synchronous training.
  var downpour: DownpourState?
  var worldSize: Int
  var shape: NetworkShape
  var hyperparameters: Hyperparameters
  var datasetDigest: String
  /// What rounds the numbers; on another kernel the last bits may differ.
  var kernel: String
  /// Where each part lies in `tensors.bin`, which is their values as little-endian 32-bit floats.
  var tensors: [Tensor] = []
  /// FNV-1a of this file (with an empty checksum) and `tensors.bin`.
  var checksum = ""

  static let currentFormat = "baton-train/1"

  struct Tensor: Codable, Equatable, Sendable {
    var name: String
    /// First value, counted in values from the start of the file.
    var offset: Int
    /// How many values.
    var count: Int
  }

  /// Where the parts of the network lie: parameters first, then what the optimiser keeps of each.
  func layout() -> [Tensor] {
    let parts = shape.parameters
    let kept = downpour == nil ? ".velocity" : ".squares"
    return parts.map { Tensor(name: $0.name, offset: $0.offset, count: $0.count) }
      + parts.map { part in
        Tensor(name: part.name + kept, offset: shape.parameterCount + part.offset, count: part.count)
      }
  }

  /// The bytes of `state.json`; equal states give equal bytes.
  func encoded() throws(TrainerError) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    do {
      return Array(try encoder.encode(self))
    } catch {
      throw TrainerError(.writeFailed, "the state of the run cannot be written as JSON: \(error)")
    }
  }

  /// The checksum this state and `tensors` should carry.
  func expectedChecksum(tensors bytes: [UInt8]) throws(TrainerError) -> String {
    var blank = self
    blank.checksum = ""
    var fingerprint = Fingerprint()
    fingerprint.add(try blank.encoded())
    fingerprint.add(bytes)
    return fingerprint.hex
  }
}
