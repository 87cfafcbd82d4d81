import Domain
import Wire

/// What the demo found; the form of `demo-result.json`.
struct DemoResult: Sendable, Hashable, Codable {
  /// Steps of which both runs have a value.
  var stepsCompared: Int
  /// Those where the values have the same bits.
  var stepsEqual: Int
  /// Steps of the uninterrupted run that the interrupted one lacks.
  var stepsLost: Int
  /// Points of the interrupted run that were computed more than once.
  var stepsRedone: Int
  /// The last `test_accuracy` of the interrupted run.
  var accuracyInterrupted: Double?
  /// The last `test_accuracy` of the uninterrupted run.
  var accuracyUninterrupted: Double?
  /// From the last step in the first lease to the first one in the second, less the time when there was no lease: the
  /// run's first handoff, as `baton run show` has it.
  var handoffSeconds: Double?
  /// How long the whole demo took.
  var secondsTotal: Double

  private enum CodingKeys: String, CodingKey {
    case stepsCompared = "steps_compared"
    case stepsEqual = "steps_equal"
    case stepsLost = "steps_lost"
    case stepsRedone = "steps_redone"
    case accuracyInterrupted = "accuracy_interrupted"
    case accuracyUninterrupted = "accuracy_uninterrupted"
    case handoffSeconds = "handoff_seconds"
    case secondsTotal = "seconds_total"
  }

  /// Writes every key, also those without a value.
  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(stepsCompared, forKey: .stepsCompared)
    try container.encode(stepsEqual, forKey: .stepsEqual)
    try container.encode(stepsLost, forKey: .stepsLost)
    try container.encode(stepsRedone, forKey: .stepsRedone)
    try container.encode(accuracyInterrupted, forKey: .accuracyInterrupted)
    try container.encode(accuracyUninterrupted, forKey: .accuracyUninterrupted)
    try container.encode(handoffSeconds, forKey: .handoffSeconds)
    try container.encode(secondsTotal, forKey: .secondsTotal)
  }

  /// The accuracy that the network reaches on digits it was not trained on, if all is well.
  static let accuracyLeast = 0.95

  /// What is not as it should be, one sentence each; empty where the demo shows what it is to show.
  var complaints: [String] {
    var found: [String] = []
    if stepsCompared == 0 { found.append("the two runs have no step in common") }
    if stepsEqual != stepsCompared {
      let differing = stepsCompared - stepsEqual
      found.append(
        "\(counted(differing, "step")) \(differing == 1 ? "differs" : "differ") from the uninterrupted run")
    }
    if stepsLost > 0 {
      let verb = stepsLost == 1 ? "is" : "are"
      found.append("\(counted(stepsLost, "step")) \(verb) missing from the interrupted run")
    }
    for (accuracy, name) in [(accuracyInterrupted, "interrupted"), (accuracyUninterrupted, "uninterrupted")] {
      if let accuracy, accuracy >= Self.accuracyLeast { continue }
      let value = accuracy.map { Plot.fixed($0, 4) } ?? "unknown"
      found.append("the accuracy of the \(name) run is \(value), below \(Self.accuracyLeast)")
    }
    return found
  }
}
