/// What the variables of Baton's contract and of the launcher say; every one of them may be missing.
struct TrainerEnvironment: Equatable, Sendable {
  var rank = 0
  var worldSize = 1
  var master = Socket.Address(host: "127.0.0.1", port: 29500)
  var runID = ""
  var attempt = ""
  /// Empty: nothing is saved.
  var checkpointFolder = ""
  /// Empty: start from the beginning.
  var resumeFrom = ""
  /// Empty: metrics are only printed.
  var metricsFile = ""
  var dataFolder = ""
  var seed: UInt64 = 0

  /// Reads the variables; an empty one counts as missing.
  ///
  /// - Throws: `.usage` naming the variable.
  static func read(_ variables: [String: String]) throws(TrainerError) -> TrainerEnvironment {
    var environment = TrainerEnvironment()
    let text = { (name: String) in variables[name] ?? "" }
    environment.worldSize = try number("WORLD_SIZE", text("WORLD_SIZE"), 1...4096) ?? 1
    environment.rank = try number("RANK", text("RANK"), 0...environment.worldSize - 1) ?? 0
    if !text("MASTER_ADDR").isEmpty { environment.master.host = text("MASTER_ADDR") }
    if let port = try number("MASTER_PORT", text("MASTER_PORT"), 1...65_535) { environment.master.port = UInt16(port) }
    environment.runID = text("BATON_RUN_ID")
    environment.attempt = text("BATON_ATTEMPT")
    environment.checkpointFolder = text("BATON_CHECKPOINT_DIR")
    environment.resumeFrom = text("BATON_RESUME_FROM")
    environment.metricsFile = text("BATON_METRICS")
    environment.dataFolder = text("BATON_DATA_DIR")
    if !text("BATON_SEED").isEmpty {
      // A job file may ask for a negative seed: its bits are as good as any.
      guard let seed = UInt64(text("BATON_SEED")) ?? Int64(text("BATON_SEED")).map(UInt64.init(bitPattern:)) else {
        throw TrainerError(.usage, "BATON_SEED must be a whole number of 64 bits, not \(text("BATON_SEED"))")
      }
      environment.seed = seed
    }
    return environment
  }

  private static func number(
    _ name: String, _ value: String, _ range: ClosedRange<Int>
  ) throws(TrainerError) -> Int? {
    if value.isEmpty { return nil }
    guard let number = Int(value), range.contains(number) else {
      throw TrainerError(.usage, "\(name) must be from \(range.lowerBound) to \(range.upperBound), not \(value)")
    }
    return number
  }
}
