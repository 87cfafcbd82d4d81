public import Wire

/// In which order metrics are shown where there are many: what a run is judged by first.
public enum MetricOrder {
  /// So many charts of a report are drawn where nobody says which.
  public static let drawnMost = 8

  /// Words for data that a run does not learn from.
  private static let heldBack: Set<String> = ["test", "val", "valid", "validation", "eval", "dev"]
  /// Words for what it is judged by.
  private static let results: Set<String> = [
    "loss", "accuracy", "acc", "error", "perplexity", "ppl", "f1", "bleu", "rouge", "auc", "iou", "map", "mse", "mae",
    "rmse", "score", "reward",
  ]

  /// The names of the metrics that runs have, each once.
  ///
  /// The loss comes first, then results on data that was held back, other results, what else is told of such data, and the
  /// rest; of those, what more runs have, and what is named by fewer parts.
  public static func names(of runs: [[MetricSummary]]) -> [String] {
    let counts = Dictionary(runs.flatMap { Set($0.map(\.metric)) }.map { ($0, 1) }, uniquingKeysWith: +)
    let keyed = counts.map { (rank: rank(of: $0.key), runs: -$0.value, parts: parts($0.key), name: $0.key) }
    return keyed.sorted { ($0.rank, $0.runs, $0.parts, $0.name) < ($1.rank, $1.runs, $1.parts, $1.name) }.map(\.name)
  }

  private static func rank(of metric: String) -> Int {
    if let place = ["loss", "train_loss"].firstIndex(of: metric) { return place }
    let words = Set(metric.lowercased().split { !$0.isLetter && !$0.isNumber }.map(String.init))
    switch (words.isDisjoint(with: results), words.isDisjoint(with: heldBack)) {
    case (false, false): return 2
    case (false, true): return 3
    case (true, false): return 4
    case (true, true): return 5
    }
  }

  /// `layer.3/grad` has three.
  private static func parts(_ metric: String) -> Int { metric.split { $0 == "/" || $0 == "." }.count }
}
