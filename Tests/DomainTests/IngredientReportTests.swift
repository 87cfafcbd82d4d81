import Domain
import Testing

/// What several ranks told when they saved and when they had loaded, and what of it is named.
@Suite struct IngredientReportTests {
  private typealias Report = IngredientReport
  private typealias Difference = IngredientDifference

  /// What a rank of two tells that has a share of the weights and of the optimizer.
  private static func words(_ rank: Int, leavingOut left: String? = nil) -> [String: String] {
    var words = [
      "world_size": "2", "weights": "w\(rank)", "optimizer": "o\(rank)", "rng.torch": "t\(rank)", "data_order": "d",
      "library.torch": "2",
    ]
    if let left { words[left] = nil }
    return words
  }

  private static let whole = Report(ranks: [0: words(0), 1: words(1)])

  @Test func ranksAreToldTogether() {
    let saved = Report(ranks: [0: ["rng.torch": "a", "weights": "w"], 1: ["rng.torch": "b"]])
    let loaded = Report(ranks: [0: ["rng.torch": "c", "weights": "w"], 1: ["rng.torch": "d"]])
    #expect(saved.differences(to: loaded) == [Difference(name: "rng.torch", saved: "a", loaded: "c", ranks: [0, 1])])
  }

  @Test func namesTheRankThatTellsLessThanTheOthers() {
    let less = Report(ranks: [0: Self.words(0), 1: Self.words(1, leavingOut: "optimizer")])
    #expect(
      Self.whole.differences(to: less) == [Difference(name: "optimizer", saved: "o1", loaded: nil, ranks: [1])])
    #expect(
      less.differences(to: Self.whole) == [Difference(name: "optimizer", saved: nil, loaded: "o1", ranks: [1])])
  }

  @Test func ofASilentRankAllIsNamedThatNoOtherToldForIt() {
    let silent = Report(ranks: [0: Self.words(0)])
    for one in [silent, Report(ranks: [0: Self.words(0), 1: [:]])] {
      #expect(Self.whole.differences(to: one).map(\.name) == ["weights", "optimizer", "rng.torch"])
      #expect(Self.whole.differences(to: one).allSatisfy { $0.ranks == [1] && $0.saved != nil && $0.loaded == nil })
      #expect(one.differences(to: Self.whole).allSatisfy { $0.ranks == [1] && $0.saved == nil && $0.loaded != nil })
      #expect(one.differences(to: Self.whole).map(\.name) == ["weights", "optimizer", "rng.torch"])
    }
  }

  @Test func oneRankMaySpeakForAllButNotOfTheirStreams() {
    let same = ["weights": "w", "optimizer": "o", "rng.torch": "t"]
    let one = Report(ranks: [0: same])
    let all = Report(ranks: [0: same, 1: same, 2: same])
    // All ranks went on with the stream of the first: that is how a gang's dropout is lost.
    #expect(one.differences(to: all) == [Difference(name: "rng.torch", saved: nil, loaded: "t", ranks: [1, 2])])
    #expect(one.differences(to: one).isEmpty && all.differences(to: all).isEmpty)
  }

  @Test func whatIsKnownToDifferIsNamedBeforeWhatASilentRankLeftOut() {
    var words = Self.words(0)
    words["rng.torch"] = "other"
    words["library.torch"] = "3"
    let loaded = Report(ranks: [0: words])
    #expect(
      Self.whole.differences(to: loaded).map { "\($0.name) \($0.ranks)" }
        == ["rng.torch [0]", "weights [1]", "optimizer [1]", "rng.torch [1]", "library.torch [0]", "library.torch [1]"])
  }

  @Test func oneThatDiffersAndOneThatIsMissingAreTwoThings() {
    let saved = Report(ranks: [0: ["optimizer": "a", "weights": "w"], 1: ["optimizer": "b", "weights": "w"]])
    let loaded = Report(ranks: [0: ["optimizer": "c", "weights": "w"], 1: ["weights": "w"]])
    #expect(
      saved.differences(to: loaded) == [
        Difference(name: "optimizer", saved: "a", loaded: "c", ranks: [0]),
        Difference(name: "optimizer", saved: "b", loaded: nil, ranks: [1]),
      ])
  }

  @Test func knowsTheNumberOfRanksByWhatTheyTold() {
    #expect(Self.whole.worldSize == 2 && !Self.whole.isEmpty)
    #expect(Report(ranks: [0: ["weights": "w"], 3: ["world_size": "4"]]).worldSize == 4)
    #expect(Report(ranks: [0: ["world_size": "many"]]).worldSize == nil)
    #expect(Report(ranks: [0: [:]]).isEmpty && Report().worldSize == nil)
  }

  /// Rank `ranks` of each told `words`, and the replays diverge.
  private func verdict(
    saved: Report, loaded: Report, savedRanks: Int? = nil, loadedRanks: Int? = nil
  ) -> ResumeVerdict {
    ResumeEvidence(
      original: [1: 1, 2: 2], replays: [[1: 1, 2: 3], [1: 1, 2: 3]], saved: saved, loaded: [loaded, loaded],
      savedRanks: savedRanks, loadedRanks: [loadedRanks, loadedRanks]
    ).verdict()
  }

  @Test func theVerdictSaysWhoseAndWhichOfBothIsMissing() {
    let less = Report(ranks: [0: Self.words(0), 1: Self.words(1, leavingOut: "optimizer")])
    let unloaded = verdict(saved: Self.whole, loaded: less)
    #expect(unloaded.cause == .optimizer && unloaded.toldIngredients)
    #expect(unloaded.detail.contains("optimizer of rank 1: saved as o1, not told when it was loaded"))
    let unsaved = verdict(saved: less, loaded: Self.whole)
    #expect(unsaved.cause == .optimizer)
    #expect(unsaved.detail.contains("optimizer of rank 1: not told when it was saved, loaded as o1"))
    let silent = verdict(saved: Self.whole, loaded: Report(ranks: [0: Self.words(0)]), savedRanks: 2, loadedRanks: 2)
    #expect(silent.cause == .weights && silent.detail.contains("weights of rank 1: saved as w1, not told"))
    // Of several ranks the first is no matter of course.
    let first = Report(ranks: [0: Self.words(0, leavingOut: "optimizer"), 1: Self.words(1)])
    #expect(verdict(saved: Self.whole, loaded: first).detail.contains("optimizer of rank 0: saved as o0"))
  }

  @Test func whereNothingCameOfItSaysThatItWasNotTold() {
    let verdict = ResumeEvidence(
      original: [1: 1], replays: [[1: 1], [1: 1]], saved: Self.whole, loaded: [Report(ranks: [0: Self.words(0)])]
    ).verdict()
    #expect(verdict.outcome == .equal && verdict.cause == nil)
    #expect(verdict.detail.contains("although this was not told both times: weights of rank 1"))
  }

  @Test func onAnotherWorldSizeRanksThatAreNotInBothAreNoLossOfTheirOwn() {
    func report(_ count: Int, tellsSize: Bool = true) -> Report {
      var report = Report()
      for rank in 0..<count {
        report.ranks[rank] = ["weights": "w\(rank)", "rng.torch": "t\(rank)"]
        if tellsSize { report.ranks[rank]?["world_size"] = "\(count)" }
      }
      return report
    }
    for (saved, loaded) in [(4, 2), (2, 4)] {
      let told = verdict(saved: report(saved), loaded: report(loaded), savedRanks: saved, loadedRanks: loaded)
      #expect(told.cause == .worldSize && told.ingredients.map(\.name) == ["world_size"], "\(told.ingredients)")
      let untold = verdict(
        saved: report(saved, tellsSize: false), loaded: report(loaded, tellsSize: false), savedRanks: saved,
        loadedRanks: loaded)
      #expect(untold.cause == nil && untold.ingredients.isEmpty)
    }
    // A rank of both worlds that was silent in one of them is named.
    var missing = report(2)
    missing.ranks[1] = nil
    let named = verdict(saved: report(4), loaded: missing, savedRanks: 4, loadedRanks: 2)
    #expect(named.ingredients.map { "\($0.name) \($0.ranks)" } == ["world_size [0]", "weights [1]", "rng.torch [1]"])
  }

  @Test func silenceOfAReplayThatWasNotHeardToItsEndTellsNothing() {
    let loaded = Report(ranks: [0: Self.words(0)])
    let unheard = verdict(saved: Self.whole, loaded: loaded, savedRanks: 2, loadedRanks: 0)
    #expect(unheard.ingredients.isEmpty && unheard.cause == nil && unheard.toldIngredients)
  }
}
