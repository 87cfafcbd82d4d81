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

  /// What is not in `loaded` as it was saved in this, the first to be named first.
  ///
  /// Ranks of which only one report tells are passed over: their number is a part of its own. Within an ingredient the
  /// order is that of the names.
  public func differences(to loaded: IngredientReport) -> [IngredientDifference] {
    var found: [String: IngredientDifference] = [:]
    for rank in ranks.keys.sorted() {
      guard let saved = ranks[rank], let now = loaded.ranks[rank] else { continue }
      for name in Set(saved.keys).union(now.keys) where saved[name] != now[name] {
        found[name, default: IngredientDifference(name: name, saved: saved[name], loaded: now[name], ranks: [])]
          .ranks.append(rank)
      }
    }
    let order = Ingredient.allCases
    func place(_ difference: IngredientDifference) -> Int { order.firstIndex(of: difference.ingredient) ?? order.count }
    return found.values.sorted { (place($0), $0.name) < (place($1), $1.name) }
  }
}

/// A part of an ingredient that a rank did not have after loading as it was when it saved.
public struct IngredientDifference: Hashable, Sendable, Codable {
  /// What it is a part of.
  public var ingredient: Ingredient
  /// Its name, as in `rng.torch`.
  public var name: String
  /// What was told when the checkpoint was saved, by the first rank of `ranks`; nil for nothing.
  public var saved: String?
  /// What was told when it was loaded.
  public var loaded: String?
  /// Which ranks it is about.
  public var ranks: [Int]

  /// `name` is not as it was.
  public init(name: String, saved: String?, loaded: String?, ranks: [Int]) {
    ingredient = Ingredient(name: name)
    self.name = name
    self.saved = saved
    self.loaded = loaded
    self.ranks = ranks
  }
}
