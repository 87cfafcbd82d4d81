import Domain
import Testing

/// What is said about a replay, and which ingredient is named.
@Suite struct ResumeVerdictTests {
  private static let whole = [
    "world_size": "2", "weights": "w", "optimizer": "o", "optimizer.schedule": "s", "rng.python": "p", "rng.torch": "t",
    "data_order": "epoch 1 position 8", "loss_scale": "2.0", "library.torch": "2.1", "tokens": "x",
  ]
  private static let original: [Int64: Double] = [11: 1, 12: 0.5, 13: 0.25]

  /// Both replays have `values`, and rank 0 loaded `loaded`.
  private func verdict(
    _ values: [Int64: Double], loaded: [String: String]? = whole, saved: [String: String]? = whole,
    second: [Int64: Double]? = nil, tolerance: Double = 0
  ) -> ResumeVerdict {
    ResumeEvidence(
      original: Self.original, replays: [values, second ?? values],
      saved: saved.map { IngredientReport(ranks: [0: $0]) },
      loaded: [loaded, loaded].map { $0.map { IngredientReport(ranks: [0: $0]) } }, tolerance: tolerance
    ).verdict()
  }

  private static let other: [Int64: Double] = [11: 1, 12: 0.625, 13: 0.5]

  @Test(
    arguments: [
      (["world_size"], .worldSize), (["weights"], .weights), (["optimizer"], .optimizer),
      (["optimizer.schedule"], .optimizer), (["rng.torch"], .rng), (["rng.python"], .rng), (["data_order"], .dataOrder),
      (["loss_scale"], .lossScale), (["library.torch"], .library), (["tokens"], .other),
      (["library.torch", "loss_scale", "rng.torch"], .rng), (["weights", "data_order", "world_size"], .worldSize),
      (["library.torch", "tokens"], .other),
    ] as [([String], Ingredient)])
  func namesTheFirstIngredientThatDiffers(lost: [String], cause: Ingredient) {
    var loaded = Self.whole
    for name in lost { loaded[name] = "changed" }
    let verdict = verdict(Self.other, loaded: loaded)
    #expect(verdict.outcome == .diverged && verdict.cause == cause)
    #expect(verdict.ingredients.count == lost.count && verdict.ingredients.first?.ingredient == cause)
    #expect(verdict.detail.contains("step 12: 0.5 and 0.625") && verdict.detail.contains(cause.title))
    #expect(verdict.firstDifference == .init(step: 12, original: 0.5, replay: 0.625))
  }

  @Test func whatWasNotLoadedAtAllDiffers() {
    var loaded = Self.whole
    loaded["optimizer"] = nil
    let verdict = verdict(Self.other, loaded: loaded)
    #expect(verdict.cause == .optimizer && verdict.ingredients.first?.loaded == nil)
    #expect(verdict.detail.contains("optimizer: saved as o, not told when it was loaded"))
  }

  @Test func equalBitsAreEqualAlsoWhereAnIngredientDoesNotMatter() {
    #expect(verdict(Self.original).outcome == .equal && verdict(Self.original).cause == nil)
    let beyond = Self.original.merging([14: 9]) { first, _ in first }
    #expect(verdict(beyond).stepsEqual == 3)
    var loaded = Self.whole
    loaded["rng.python"] = "changed"
    let unused = verdict(Self.original, loaded: loaded)
    #expect(unused.outcome == .equal && unused.cause == nil && unused.ingredients.map(\.name) == ["rng.python"])
    #expect(unused.detail.contains("nothing came of that"))
  }

  @Test(
    arguments: [
      (0, .diverged), (0.19, .diverged), (0.51, .close),
    ] as [(Double, ResumeVerdict.Outcome)])
  func theToleranceIsAShareOfTheGreaterValue(tolerance: Double, outcome: ResumeVerdict.Outcome) {
    let verdict = verdict(Self.other, tolerance: tolerance)
    #expect(verdict.outcome == outcome && verdict.largestRelative == 0.5 && verdict.stepsEqual == 1)
  }

  @Test func aMissingValueIsNoSmallDifference() {
    let verdict = verdict([11: 1, 13: 0.25], tolerance: 1)
    #expect(verdict.outcome == .diverged && verdict.firstDifference?.replay == nil)
    #expect(verdict.detail.contains("no value at step 12"))
  }

  @Test func tellsAProgramThatIsNotDeterministicFromAResumeThatLosesSomething() {
    let different = verdict(Self.other, second: [11: 1, 12: 0.7, 13: 0.5])
    #expect(different.isDeterministic == false && different.cause == nil)
    #expect(different.detail.contains("not deterministic: two replays from the same checkpoint part at step 12"))
    let same = verdict(Self.other)
    #expect(same.isDeterministic == true && same.detail.contains("something that it does not tell is lost"))
    // Lost seeds make two replays differ as well: what was lost is the better explanation.
    var loaded = Self.whole
    loaded["rng.torch"] = "changed"
    #expect(verdict(Self.other, loaded: loaded, second: Self.original).cause == .rng)
  }

  @Test func ofTwoReplaysTheWorseCounts() {
    let verdict = verdict(Self.original, second: Self.other)
    #expect(verdict.outcome == .diverged && verdict.firstDifference?.step == 12 && verdict.isDeterministic == false)
  }

  @Test func saysWhereNothingCanBeNamed() {
    let cases: [([String: String]?, [String: String]?, String)] = [
      (nil, Self.whole, "tells no ingredients when it saves"),
      (Self.whole, nil, "tells no ingredients when it has loaded"),
      (nil, nil, "tells no ingredients, so"), ([:], [:], "tells no ingredients, so"),
    ]
    for (saved, loaded, words) in cases {
      let verdict = verdict(Self.other, loaded: loaded, saved: saved)
      #expect(!verdict.toldIngredients && verdict.cause == nil && verdict.outcome == .diverged)
      #expect(verdict.ingredients.isEmpty && verdict.detail.contains(words), "\(verdict.detail)")
    }
  }

  @Test func aReplayIsTheSameJobThatStartsFromTheCheckpointAndGoesOnNowhere() {
    var spec = JobSpec(name: String(repeating: "n", count: 128), command: ["train"])
    spec.checkpoint.every = .minutes(5)
    spec.retry.maxRestarts = 3
    spec.lease = .named("week")
    spec.tags = ["paper"]
    spec.seed = 7
    let data = [DataRequest(name: "digits", version: 2)]
    let replay = spec.replay(number: 1, of: RunID(17), step: 120, data: data)
    #expect(replay.data == data && replay.seed == 7)
    #expect(replay.command == spec.command && replay.resources == spec.resources)
    #expect(replay.lease == .auto && !replay.survivesLease && replay.retry.maxRestarts == 0)
    #expect(replay.checkpoint.every == nil && replay.tags == ["paper", "verify-resume"])
    #expect(replay.name.count == 128 && replay.name.hasSuffix(" replay 1"))
  }
}
