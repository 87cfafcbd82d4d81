public import Domain

/// Where everything is in an object store: the one place that makes keys.
public enum ObjectLayout {
  /// All objects of data sets; ends with a slash.
  public static let blobs = "blobs/"

  /// All manifests of data sets; ends with a slash.
  public static let datasets = "datasets/"

  /// An object of a data set, named by its content.
  public static func blob(sha256: String) -> String { "\(blobs)\(sha256.prefix(2))/\(sha256)" }

  /// A data set's manifest, named by the hash of its canonical text.
  public static func datasetManifest(contentID: String) -> String { "\(datasets)\(contentID).json" }

  /// The manifest of a data set that is read in place; `pins` names the versions of its objects.
  public static func datasetManifest(contentID: String, pins: String) -> String {
    "\(datasets)\(contentID)-\(pins).json"
  }

  /// The description of a data set's tar shards.
  public static func pack(contentID: String) -> String { "\(datasets)\(contentID).pack.json" }

  /// How far packing a data set has come.
  public static func packing(contentID: String) -> String { "\(datasets)\(contentID).packing.json" }

  /// All of a run.
  public static func run(_ run: RunID) -> String { "runs/\(run.rawValue)/" }

  /// All checkpoints of a run.
  public static func checkpoints(of run: RunID) -> String { "runs/\(run.rawValue)/checkpoints/" }

  /// The checkpoint of `step` that attempt `number` wrote; ends with a slash, sorts by step.
  public static func checkpoint(run: RunID, step: Int, number: Int) -> String {
    let digits = String(max(0, step))
    let padded = String(repeating: "0", count: max(0, 10 - digits.count)) + digits
    return "runs/\(run.rawValue)/checkpoints/\(padded)-e\(number)/"
  }

  /// Step and attempt number of a checkpoint's folder; nil for anything else.
  public static func parseCheckpoint(prefix: String) -> (run: RunID, step: Int, number: Int)? {
    let parts = prefix.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 5, parts[0] == "runs", parts[2] == "checkpoints", parts[4].isEmpty else { return nil }
    let names = parts[3].split(separator: "-", omittingEmptySubsequences: false)
    guard names.count == 2, let run = Int64(parts[1]), let step = Int(names[0]), names[1].hasPrefix("e"),
      let number = Int(names[1].dropFirst())
    else { return nil }
    let found = (run: RunID(run), step: step, number: number)
    return checkpoint(run: found.run, step: step, number: number) == prefix ? found : nil
  }

  /// The folder of the checkpoint that the object `key` lies in; nil for what is in none.
  public static func checkpoint(of key: String) -> String? {
    let parts = key.split(separator: "/", maxSplits: 4, omittingEmptySubsequences: false)
    guard parts.count == 5 else { return nil }
    let prefix = parts.prefix(4).joined(separator: "/") + "/"
    return parseCheckpoint(prefix: prefix) == nil ? nil : prefix
  }

  /// The manifest of a checkpoint, written last.
  public static func manifest(checkpoint prefix: String) -> String { prefix + "manifest.json" }

  /// What node `nodeRank` contributed to a checkpoint.
  public static func part(checkpoint prefix: String, nodeRank: Int) -> String { prefix + "part-\(nodeRank).json" }

  /// A chunk that a checkpoint was the first to have.
  public static func chunk(checkpoint prefix: String, sha256: String) -> String { prefix + "chunks/" + sha256 }

  /// A file of a checkpoint whose manifest is of version 1.
  public static func data(checkpoint prefix: String, path: String) -> String { prefix + "data/" + path }

  /// What one node kept of an attempt; ends with a slash.
  public static func attemptRecord(run: RunID, number: Int, nodeRank: Int) -> String {
    "\(attempt(of: run, number: number))node-\(nodeRank)/"
  }

  /// What all nodes kept of an attempt; ends with a slash.
  public static func attempt(of run: RunID, number: Int) -> String { "\(attempts(of: run))e\(number)/" }

  /// A node's journal of an attempt.
  public static func journal(record: String) -> String { record + "journal.jsonl" }

  /// A node's metrics of an attempt.
  public static func metrics(record: String) -> String { record + "metrics.jsonl" }

  /// The log of a rank.
  public static func log(record: String, rank: Int) -> String { record + "rank-\(rank).log" }

  /// What the ranks of a node left under `path` to be kept.
  public static func artifact(record: String, path: String) -> String { record + "artifacts/" + path }

  /// All that was kept of the attempts of a run; ends with a slash.
  public static func attempts(of run: RunID) -> String { "runs/\(run.rawValue)/attempts/" }

  /// Whose artifact the object `key` is; nil for anything else.
  public static func parseArtifact(_ key: String) -> (run: RunID, number: Int, nodeRank: Int, path: String)? {
    let parts = key.split(separator: "/", maxSplits: 6, omittingEmptySubsequences: false)
    guard parts.count == 7, parts[0] == "runs", parts[2] == "attempts", parts[5] == "artifacts", !parts[6].isEmpty,
      let run = Int64(parts[1]), parts[3].hasPrefix("e"), let number = Int(parts[3].dropFirst()),
      parts[4].hasPrefix("node-"), let nodeRank = Int(parts[4].dropFirst(5))
    else { return nil }
    return (RunID(run), number, nodeRank, String(parts[6]))
  }

  /// The log of a process beside the ranks.
  public static func log(record: String, helper: String) -> String { record + "\(helper).log" }
}
