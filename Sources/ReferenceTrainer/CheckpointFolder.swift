import FoundationEssentials
import Glibc

/// The folder that checkpoints are written to; only rank 0 writes, and nobody else writes there.
struct CheckpointFolder: Sendable {
  /// The folder itself; it is made when needed.
  let path: String

  /// Whether a checkpoint was there already.
  enum Outcome: Equatable {
    case saved
    case existed
  }

  /// Writes `step-N/` and returns once it would survive a loss of power.
  ///
  /// Everything goes to `step-N.tmp/` first, is brought to the disk, and only then gets its name: whatever
  /// interrupts this, no partial checkpoint ever looks complete. A `step-N/` that exists stays as it is. With it Baton
  /// is told its `ingredients`.
  ///
  /// - Throws: `.writeFailed`; the run itself is not harmed.
  func save(_ checkpoint: Checkpoint, _ ingredients: Ingredients? = nil) throws(TrainerError) -> Outcome {
    let final = "\(path)/step-\(checkpoint.state.step)"
    let temporary = final + ".tmp"
    var status = stat()
    if stat(final, &status) == 0 { return .existed }
    try makeFolder(path, mayExist: true)
    try clear(temporary)
    try makeFolder(temporary, mayExist: false)

    let tensors = Self.bytes(of: checkpoint.parameters) + Self.bytes(of: checkpoint.velocities)
    var state = checkpoint.state
    state.tensors = state.layout()
    state.checksum = try state.expectedChecksum(tensors: tensors)
    try write(tensors, to: temporary + "/tensors.bin")
    try write(try state.encoded(), to: temporary + "/state.json")
    if let ingredients { try write(try ingredients.file(step: state.step), to: temporary + "/baton-state.json") }
    try synchronize(folder: temporary)
    guard rename(temporary, final) == 0 else {
      throw .system(.writeFailed, "cannot rename \(temporary) to \(final)", errno: errno)
    }
    try synchronize(folder: path)
    return .saved
  }

  /// Reads a whole checkpoint back.
  ///
  /// - Parameter path: a `step-N` folder.
  /// - Throws: `.noInput` when it is not there, `.badInput` when it is not whole or was altered. Whether it
  ///   fits the run is not judged here.
  static func load(_ path: String) throws(TrainerError) -> Checkpoint {
    let header = try read(path + "/state.json")
    let tensors = try read(path + "/tensors.bin")
    let state: CheckpointState
    do {
      state = try JSONDecoder().decode(CheckpointState.self, from: Data(header))
    } catch {
      throw corrupt(path, "state.json cannot be read")
    }
    guard state.format == CheckpointState.currentFormat else {
      throw corrupt(path, "it has the format \(state.format), not \(CheckpointState.currentFormat)")
    }
    guard try state.expectedChecksum(tensors: tensors) == state.checksum else {
      throw corrupt(path, "its checksum does not match")
    }
    let count = state.shape.parameterCount
    guard state.tensors == state.layout(), tensors.count == 8 * count else {
      throw corrupt(path, "its tensors do not have the sizes of the network")
    }
    let values = floats(from: tensors)
    return Checkpoint(state: state, parameters: Array(values[..<count]), velocities: Array(values[count...]))
  }

  private static func corrupt(_ path: String, _ reason: String) -> TrainerError {
    TrainerError(
      .badInput, "the checkpoint \(path) is damaged: \(reason)", advice: "Resume from the checkpoint before it.")
  }

  private static func read(_ file: String) throws(TrainerError) -> [UInt8] {
    do {
      return try readFile(file)
    } catch {
      throw .system(
        .noInput, "cannot read \(file) of the checkpoint to resume from", errno: error.number,
        advice: "BATON_RESUME_FROM must name a step-N folder, or be empty to start from the beginning.")
    }
  }

  private static func bytes(of values: [Float]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(4 * values.count)
    for value in values {
      withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
    }
    return bytes
  }

  private static func floats(from bytes: [UInt8]) -> [Float] {
    bytes.withUnsafeBytes { raw in
      (0..<raw.count / 4).map { index in
        Float(bitPattern: UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self)))
      }
    }
  }

  private func makeFolder(_ folder: String, mayExist: Bool) throws(TrainerError) {
    if mkdir(folder, 0o755) == 0 || (mayExist && errno == EEXIST) { return }
    throw .system(.writeFailed, "cannot make the folder \(folder)", errno: errno)
  }

  /// Removes what an interrupted save of the same step left behind.
  private func clear(_ temporary: String) throws(TrainerError) {
    for name in ["tensors.bin", "state.json", "baton-state.json"] {
      guard unlink("\(temporary)/\(name)") == 0 || errno == ENOENT else {
        throw .system(.writeFailed, "cannot remove \(temporary)/\(name)", errno: errno)
      }
    }
    guard rmdir(temporary) == 0 || errno == ENOENT else {
      throw .system(.writeFailed, "cannot remove \(temporary)", errno: errno)
    }
  }

  private func write(_ bytes: [UInt8], to file: String) throws(TrainerError) {
    let descriptor = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw .system(.writeFailed, "cannot make \(file)", errno: errno) }
    defer { close(descriptor) }
    let failure = bytes.withUnsafeBytes { writeAll(descriptor, $0) }
    guard failure == 0 else { throw .system(.writeFailed, "cannot write \(file)", errno: failure) }
    guard fsync(descriptor) == 0 else { throw .system(.writeFailed, "cannot bring \(file) to the disk", errno: errno) }
  }

  private func synchronize(folder: String) throws(TrainerError) {
    let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .system(.writeFailed, "cannot open \(folder)", errno: errno) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else {
      throw .system(.writeFailed, "cannot bring \(folder) to the disk", errno: errno)
    }
  }
}
