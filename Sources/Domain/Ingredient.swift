/// Something that a run needs to go on exactly where it stopped.
///
/// In the order in which a difference is named: the number of ranks comes first, since it changes what every rank holds, and
/// versions of libraries come last, since they explain something only where all state is the same.
public enum Ingredient: String, Hashable, Sendable, Codable, CaseIterable {
  /// How many ranks there are.
  case worldSize = "world_size"
  /// What is trained.
  case weights
  /// Moments, step sizes, and their schedule.
  case optimizer
  /// Streams of random numbers.
  case rng
  /// Epoch, place in it, and the permutation.
  case dataOrder = "data_order"
  /// What losses are multiplied by, in mixed precision.
  case lossScale = "loss_scale"
  /// Something that only the program knows.
  case other
  /// A version of what computes.
  case library

  /// What `name` is a part of: `rng.torch` is of `rng`; what nobody knows is `other`.
  public init(name: String) {
    let word = name.prefix { $0 != "." }
    self = Ingredient(rawValue: String(word)) ?? .other
  }

  /// What people call it.
  public var title: String {
    switch self {
    case .worldSize: "world size"
    case .weights: "weights"
    case .optimizer: "optimizer"
    case .rng: "RNG stream"
    case .dataOrder: "data order"
    case .lossScale: "loss scale"
    case .other: "something else"
    case .library: "library version"
    }
  }
}

/// What ranks said about their state at a step: for each rank a word or a digest for each part of an ingredient.
public struct IngredientReport: Hashable, Sendable, Codable {
  /// By rank, then by name, as in `rng.torch`.
  public var ranks: [Int: [String: String]]

  /// What `ranks` said.
  public init(ranks: [Int: [String: String]] = [:]) { self.ranks = ranks }

  /// Whether nobody said anything.
  public var isEmpty: Bool { ranks.values.allSatisfy(\.isEmpty) }

  /// How many ranks there were, in the words of the first that said so; nil where none did.
  public var worldSize: Int? {
    ranks.keys.sorted().lazy.compactMap { ranks[$0]?[Ingredient.worldSize.rawValue].flatMap { Int($0) } }.first
  }

  /// What is not in `loaded` as it was saved in this, the first to be named first.
  ///
  /// A part of which a rank told only when it saved, or only when it had loaded, is one of them. A rank that was silent
  /// on one of both occasions may have been spoken for: what another rank told there in the same words is none. Streams
  /// of random numbers are each rank's own, and nobody speaks for another's. Silent ranks from `count` on are passed
  /// over, since they may not have been there. What silent ranks left out comes after what is known to differ, but before
  /// versions of libraries. Within an ingredient the order is that of the names.
  public func differences(to loaded: IngredientReport, silentBelow count: Int = .max) -> [IngredientDifference] {
    var found: [Finding: IngredientDifference] = [:]
    let (savedByAny, loadedByAny) = (words, loaded.words)
    for rank in Set(ranks.keys).union(loaded.ranks.keys).sorted() {
      let (saved, now) = (ranks[rank] ?? [:], loaded.ranks[rank] ?? [:])
      let isSilent = saved.isEmpty || now.isEmpty
      if isSilent && rank >= count { continue }
      for name in Set(saved.keys).union(now.keys) where saved[name] != now[name] {
        let difference = IngredientDifference(name: name, saved: saved[name], loaded: now[name], ranks: [])
        if isSilent && difference.ingredient != .rng, let word = saved[name] ?? now[name] {
          let others = (saved.isEmpty ? savedByAny : loadedByAny)[name] ?? []
          // All ranks are of one world, whoever says how large it is.
          if others.contains(word) || difference.ingredient == .worldSize && !others.isEmpty { continue }
        }
        let finding = Finding(
          name: name, wasSaved: saved[name] != nil, wasLoaded: now[name] != nil, isOfSilentRank: isSilent)
        found[finding, default: difference].ranks.append(rank)
      }
    }
    return found.sorted { $0.key.place < $1.key.place }.map(\.value)
  }

  /// What any rank told, by name.
  private var words: [String: Set<String>] {
    var words: [String: Set<String>] = [:]
    for (name, word) in ranks.values.joined() { words[name, default: []].insert(word) }
    return words
  }

  /// What ranks have to have in common to be told of together.
  private struct Finding: Hashable {
    var name: String
    var wasSaved: Bool
    var wasLoaded: Bool
    var isOfSilentRank: Bool

    /// Where in the order it comes.
    var place: (Int, Int, Int, String, Int) {
      let ingredient = Ingredient(name: name)
      let order = Ingredient.allCases
      return (
        ingredient == .library ? 1 : 0, isOfSilentRank ? 1 : 0, order.firstIndex(of: ingredient) ?? order.count, name,
        wasSaved && wasLoaded ? 0 : wasSaved ? 1 : 2
      )
    }
  }
}

/// A part of an ingredient that a rank did not have after loading as it was when it saved.
public struct IngredientDifference: Hashable, Sendable, Codable {
  /// What it is a part of.
  public var ingredient: Ingredient
  /// Its name, as in `rng.torch`.
  public var name: String
  /// What was told when the checkpoint was saved, by the first rank of `ranks`; nil where these told nothing of it.
  public var saved: String?
  /// What was told when it was loaded, likewise.
  public var loaded: String?
  /// Which ranks it is about.
  public var ranks: [Int]

  /// Whether both words are there, and differ.
  public var isToldTwice: Bool { saved != nil && loaded != nil }

  /// `name` is not as it was.
  public init(name: String, saved: String?, loaded: String?, ranks: [Int]) {
    ingredient = Ingredient(name: name)
    self.name = name
    self.saved = saved
    self.loaded = loaded
    self.ranks = ranks
  }
}
