/// What came of replaying the steps after a checkpoint.
public struct ResumeVerdict: Hashable, Sendable, Codable {
  /// In one word.
  public enum Outcome: String, Hashable, Sendable, Codable {
    /// Every value has the bits of the original's.
    case equal = "BITWISE_EQUAL"
    /// No value is further from the original's than was allowed.
    case close = "WITHIN_TOLERANCE"
    /// Some value is, or is missing.
    case diverged = "DIVERGED"
    /// A replay did not come far enough to tell.
    case failed = "FAILED"
  }

  /// A step where a replay left the original.
  public struct Difference: Hashable, Sendable, Codable {
    /// The step.
    public var step: Int64
    /// What the original has there.
    public var original: Double
    /// What the replay has there; nil for nothing.
    public var replay: Double?

    /// At `step`, `original` against `replay`.
    public init(step: Int64, original: Double, replay: Double?) {
      self.step = step
      self.original = original
      self.replay = replay
    }
  }

  /// In one word.
  public var outcome: Outcome
  /// Steps at which the original has a value.
  public var stepsCompared: Int
  /// Those at which the replay has the same bits.
  public var stepsEqual: Int
  /// The first step that is not equal in every bit.
  public var firstDifference: Difference?
  /// The largest difference, as a share of the greater of two values.
  public var largestRelative: Double
  /// Whether both replays have the same bits; nil where one failed.
  public var isDeterministic: Bool?
  /// Whether the program told what it saved and what it loaded; without, no ingredient can be named.
  public var toldIngredients: Bool
  /// The ingredient that explains why it diverged: the first that was not loaded as it was saved.
  public var cause: Ingredient?
  /// All that was not loaded as it was saved, the first to be named first; also where nothing came of it.
  public var ingredients: [IngredientDifference]
  /// All of it in a sentence or two, for people.
  public var detail: String
}

/// All that a verdict is made from.
public struct ResumeEvidence: Hashable, Sendable {
  /// Of each of the two replays: the values that the attempt computed which saved the checkpoint, at the steps after it,
  /// against those of the replay.
  public var replays: [SeriesTally]
  /// At the original's steps, the first replay's values against the second's.
  public var betweenReplays: SeriesTally
  /// What ranks told when they saved; nil for nothing.
  public var saved: IngredientReport?
  /// What ranks of each replay told when they had loaded.
  public var loaded: [IngredientReport?]
  /// How many ranks were started by the attempt that saved; nil where that is not known.
  ///
  /// What ranks told of their number counts before it.
  public var savedRanks: Int?
  /// The same of each replay; 0 for one of which not all was heard, so that silence tells nothing.
  public var loadedRanks: [Int?]
  /// So much of the greater of two values they may differ by; 0 for not at all.
  public var tolerance: Double

  /// What there is.
  public init(
    replays: [SeriesTally], betweenReplays: SeriesTally, saved: IngredientReport? = nil,
    loaded: [IngredientReport?] = [], savedRanks: Int? = nil, loadedRanks: [Int?] = [], tolerance: Double = 0
  ) {
    self.replays = replays
    self.betweenReplays = betweenReplays
    self.saved = saved
    self.loaded = loaded
    self.savedRanks = savedRanks
    self.loadedRanks = loadedRanks
    self.tolerance = tolerance
  }

  /// What there is, with all series in memory; what replays have beside the original's steps is not looked at.
  public init(
    original: [Int64: Double], replays: [[Int64: Double]], saved: IngredientReport? = nil,
    loaded: [IngredientReport?] = [], savedRanks: Int? = nil, loadedRanks: [Int?] = [], tolerance: Double = 0
  ) {
    let first = (replays.first ?? [:]).filter { original[$0.key] != nil }
    self.init(
      replays: replays.map { SeriesTally(original, $0) }, betweenReplays: SeriesTally(first, replays.last ?? [:]),
      saved: saved, loaded: loaded, savedRanks: savedRanks, loadedRanks: loadedRanks, tolerance: tolerance)
  }

  /// Judges.
  public func verdict() -> ResumeVerdict {
    // Where only one of them left the original, that one counts.
    let worst =
      replays.first { outcome($0) == .diverged } ?? replays.first { $0.parting != nil } ?? replays.first
      ?? SeriesTally()
    let found = loaded.indices.lazy.map { lost(in: $0) }.first { !$0.isEmpty }
    var verdict = ResumeVerdict(
      outcome: outcome(worst), stepsCompared: worst.leftCount, stepsEqual: worst.equal,
      firstDifference: worst.parting.map { .init(step: $0.step, original: $0.left, replay: $0.right) },
      largestRelative: worst.largestRelative, isDeterministic: betweenReplays.parting == nil,
      toldIngredients: toldWhenSaved && toldWhenLoaded, cause: nil, ingredients: found ?? [], detail: "")
    if verdict.outcome == .diverged { verdict.cause = verdict.ingredients.first?.ingredient }
    verdict.detail = sentence(verdict, replaysPart: betweenReplays.parting)
    return verdict
  }

  private var toldWhenSaved: Bool { saved?.isEmpty == false }
  private var toldWhenLoaded: Bool { loaded.contains { $0?.isEmpty == false } }

  /// What a replay did not load as it was saved, as far as both were told.
  private func lost(in replay: Int) -> [IngredientDifference] {
    guard let saved, let loaded = loaded[replay], !saved.isEmpty, !loaded.isEmpty else { return [] }
    let started = loadedRanks.indices.contains(replay) ? loadedRanks[replay] : nil
    // Ranks that there were only in the one or the other are no loss of their own: the number of ranks is.
    let common = min(
      saved.worldSize ?? savedRanks ?? .max, started == 0 ? 0 : loaded.worldSize ?? started ?? .max)
    return saved.differences(to: loaded, silentBelow: common)
  }

  /// Whether ranks are worth a word.
  private var isGang: Bool {
    ([saved] + loaded).contains { report in report.map { $0.ranks.keys.contains { $0 > 0 } } ?? false }
  }

  private func outcome(_ tally: SeriesTally) -> ResumeVerdict.Outcome {
    if tally.parting == nil { return .equal }
    return tally.onlyLeft == 0 && tolerance > 0 && tally.largestRelative <= tolerance ? .close : .diverged
  }

  private func sentence(_ verdict: ResumeVerdict, replaysPart: SeriesTally.Difference?) -> String {
    let lost = verdict.ingredients.first.map(sentence)
    switch verdict.outcome {
    case .equal:
      let equal = "\(counted(verdict.stepsCompared, "step")) after the checkpoint are equal in every bit"
      guard let first = verdict.ingredients.first, let lost else { return equal }
      let what = first.isToldTwice ? "this differs" : "this was not told both times"
      return "\(equal), although \(what): \(lost); nothing came of that in these steps"
    case .close, .diverged:
      var parts = [parting(verdict)]
      if let lost {
        parts.append(lost)
      } else if let replaysPart {
        parts.append(
          "the program is not deterministic: two replays from the same checkpoint part at step \(replaysPart.step)")
      } else if verdict.toldIngredients {
        parts.append(
          "both replays are equal and all that the program told was loaded as it was saved: "
            + "something that it does not tell is lost")
      } else {
        let when = toldWhenSaved ? " when it has loaded" : toldWhenLoaded ? " when it saves" : ""
        parts.append(
          "both replays are equal, so the resume loses something; "
            + "the program tells no ingredients\(when), so none can be named")
      }
      return parts.joined(separator: "; ")
    case .failed: return ""
    }
  }

  private func parting(_ verdict: ResumeVerdict) -> String {
    guard let first = verdict.firstDifference else { return "" }
    guard let replay = first.replay else { return "the replay has no value at step \(first.step)" }
    let within = verdict.outcome == .close ? ", by less than is allowed" : ""
    return "it parts from the original at step \(first.step)\(within): \(first.original) and \(replay)"
  }

  private func sentence(_ difference: IngredientDifference) -> String {
    let place = isGang ? " of rank \(difference.ranks.map(String.init).joined(separator: ", "))" : ""
    func short(_ text: String) -> String { text.count > 60 ? "\(text.prefix(24))..." : text }
    let part = difference.name == difference.ingredient.rawValue ? "" : " (\(difference.name))"
    let saved = difference.saved.map { "saved as \(short($0))" } ?? "not told when it was saved"
    let loaded = difference.loaded.map { "loaded as \(short($0))" } ?? "not told when it was loaded"
    return "\(difference.ingredient.title)\(part)\(place): \(saved), \(loaded)"
  }
}

extension ResumeVerdict {
  /// No verdict, since a replay ended before it had come far enough.
  public static func failed(_ detail: String) -> ResumeVerdict {
    ResumeVerdict(
      outcome: .failed, stepsCompared: 0, stepsEqual: 0, firstDifference: nil, largestRelative: 0, isDeterministic: nil,
      toldIngredients: false, cause: nil, ingredients: [], detail: detail)
  }
}

extension JobSpec {
  /// The job that replays what this one did after the checkpoint of `run` at `step`; one of two.
  ///
  /// The same program with the same seed on as many nodes, from the same `data`; it saves only if it wants to, goes on in no
  /// other lease, and is not tried again.
  public func replay(
    number: Int, of run: RunID, step: Int64, data: [DataRequest]
  ) -> JobSpec {
    var spec = self
    spec.name = String("\(name) replay \(number)".suffix(128))
    spec.description = "replay \(number) of 2 of \(run) from step \(step), to compare it with the original"
    spec.tags = tags.filter { $0 != Self.replayTag } + [Self.replayTag]
    spec.data = data
    spec.lease = .auto
    spec.survivesLease = false
    spec.time = JobTime()
    spec.retry = RetryPolicy()
    spec.checkpoint.every = nil
    spec.checkpoint.keep = RetentionPolicy()
    spec.checkpoint.keep.last = 1
    return spec
  }

  /// The tag of jobs that only replay another.
  public static let replayTag = "verify-resume"
}
