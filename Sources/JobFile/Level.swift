/// The keys of one level of a job file.
struct Level {
  /// The level as it is called in messages; empty at the top.
  let name: String
  /// Keys that mean something.
  let known: [String]
  /// Keys that will mean something: refused, in other words than a misspelling.
  let planned: [String]

  static let top = Level(
    name: "",
    known: [
      "name", "priority", "tags", "description", "resources", "time", "lease", "env", "data", "requirements", "setup",
      "container", "launcher", "batch", "run", "resume", "checkpoint", "retry", "seeds", "array", "matrix", "at_most",
    ],
    planned: [
      "project", "workdir", "code", "secrets", "image", "depends_on", "metrics", "notify",
    ])
  static let resources = Level(
    name: "resources", known: ["nodes", "gpus_per_node", "node_type", "local_disk"],
    planned: ["accelerators", "constraint", "cpus", "memory", "topology"])
  static let time = Level(name: "time", known: ["limit", "min"], planned: ["begin", "deadline"])
  static let lease = Level(name: "lease", known: ["use", "survive"], planned: ["max_leases", "extend"])
  static let data = Level(name: "data", known: ["name", "version", "mode"], planned: ["source", "mount", "verify"])
  static let launcher = Level(
    name: "launcher", known: ["kind", "processes_per_node", "gpus", "servers", "strategy", "evaluator"],
    planned: ["rendezvous_port"])
  static let container = Level(name: "container", known: ["image", "runtime"], planned: ["mounts", "pull"])
  static let batch = Level(name: "batch", known: ["keep", "size"], planned: [])
  static let checkpoint = Level(
    name: "checkpoint", known: ["every", "grace", "keep", "path", "pattern", "signal"],
    planned: ["destination", "verify"])
  static let resume = Level(name: "resume", known: ["args", "run"], planned: [])
  static let keep = Level(
    name: "checkpoint.keep", known: ["last", "best", "metric", "mode", "every_steps", "younger_than"], planned: [])
  static let retry = Level(
    name: "retry", known: ["max_restarts", "on_exit_codes"], planned: ["backoff", "exclude_failed_nodes"])
  static let seeds = Level(name: "seeds", known: ["global"], planned: ["per_rank"])

  private static let sections = [
    resources, time, lease, launcher, container, batch, resume, checkpoint, keep, retry, seeds,
  ]

  /// What to say about `key`; nil where it is one of `known`.
  func complaint(about key: String) -> String? {
    if known.contains(key) { return nil }
    let place = name.isEmpty ? "at the top level" : "in \(name)"
    if planned.contains(key) {
      return "'\(key)' \(place) is not supported yet: leave it out (known keys: \(known.joined(separator: ", ")))"
    }
    let hint = suggestion(for: key).map { ": did you mean '\($0)'?" } ?? ""
    return "unknown key '\(key)' \(place)\(hint) (known keys: \(known.joined(separator: ", ")))"
  }

  /// The known key that `key` is closest to, or else the full name of the same key on another level.
  private func suggestion(for key: String) -> String? {
    if let near = closest(to: key, among: known) { return near }
    if let section = Self.sections.first(where: { $0.name != name && $0.known.contains(key) }) {
      return "\(section.name).\(key)"
    }
    return Self.top.known.contains(key) ? "\(key)' at the top level, without '\(name)" : nil
  }
}

/// The word that turns into `word` by the fewest changes; nil where even that takes more than a slip of the fingers.
func closest(to word: String, among words: [String]) -> String? {
  let slips = max(1, min(word.count / 3, 3))
  return
    words
    .map { (word: $0, distance: editDistance(word.lowercased(), $0)) }
    .filter { $0.distance <= slips }
    .min { ($0.distance, $0.word) < ($1.distance, $1.word) }?
    .word
}

/// How many characters have to be put in, taken out, exchanged, or swapped with their neighbour.
///
/// Optimal string alignment. Words longer than 64 characters count as far from everything.
func editDistance(_ left: String, _ right: String) -> Int {
  let left = Array(left)
  let right = Array(right)
  guard left.count <= 64, right.count <= 64 else { return Int.max }
  var rows = [Array(0...right.count)]
  for i in left.indices {
    var row = [i + 1]
    for j in right.indices {
      let exchange = rows[i][j] + (left[i] == right[j] ? 0 : 1)
      var best = min(rows[i][j + 1] + 1, row[j] + 1, exchange)
      if i > 0, j > 0, left[i] == right[j - 1], left[i - 1] == right[j] { best = min(best, rows[i - 1][j - 1] + 1) }
      row.append(best)
    }
    rows.append(row)
  }
  return rows[left.count][right.count]
}
