import Domain
import Wire

/// What a run is re-created from, and what people say of it.
extension RunText {
  /// Words, where it came from, what it cost, what its ranks stood in.
  static func addCapture(of run: RunView, to facts: inout Facts) {
    if let code = run.provenance.source.code {
      let more = [
        "\(counted(code.files, "file"))", "\(code.bytes)",
        code.untracked.isEmpty ? nil : "\(code.untracked.count) unknown to git",
        code.leftOut.isEmpty ? nil : "not captured: " + leftOut(code.leftOut),
      ]
      facts.add("captured", "\(code.sha256.prefix(12)): " + more.compactMap(\.self).joined(separator: ", "))
    }
    if let from = run.startedFrom { facts.add("starts from", "\(from.id): step \(from.step) of \(from.run)") }
    facts.add("reproduces", run.reproduces.map { "\($0)" })
    let ranks = Set(run.attempts.compactMap(\.worldSize)).sorted().map(String.init)
    facts.add("ranks", ranks.isEmpty ? nil : ranks.joined(separator: ", "))
    for (index, one) in (run.provenance.environments ?? []).enumerated() {
      facts.add(index == 0 ? "environment" : "", environment(one))
    }
    let cost = run.attempts.compactMap(\.cost).reduce(AttemptCost(nodeSeconds: 0, gpuSeconds: 0), +)
    if cost.nodeSeconds > 0 {
      let gpus = cost.gpuSeconds > 0 ? ", \(ComparisonText.hours(cost.gpuSeconds)) GPU hours" : ""
      facts.add("cost", "\(ComparisonText.hours(cost.nodeSeconds)) node hours\(gpus)")
    }
    if let tags = run.tags, !tags.isEmpty { facts.add("words", tags.joined(separator: ", ")) }
  }

  private static func leftOut(_ files: [CodeCapture.LeftOut]) -> String {
    let named = files.prefix(5).map { "\($0.path) (\($0.reason))" }.joined(separator: ", ")
    return named + (files.count > 5 ? " and \(files.count - 5) more" : "")
  }

  /// `kernel 6.1, cpu ..., python 3.11.2, 24 packages (n1, n2)`.
  private static func environment(_ one: EnvironmentView) -> String {
    let known = ["kernel", "cpu", "gpus", "nvidia-driver", "cuda", "python", "blas", "mpirun"]
    let facts = known.compactMap { key in one.facts[key].map { "\(key) \($0)" } }
    let packages = one.packages.isEmpty ? [] : [counted(one.packages.count, "package")]
    var nodes: [String] = []
    for place in one.places where !nodes.contains(place.node) { nodes.append(place.node) }
    return (facts + packages).joined(separator: ", ") + " (\(nodes.joined(separator: ", ")))"
  }

  /// Where an attempt went on.
  static func origin(of attempt: AttemptView) -> String {
    guard let step = attempt.resumedFromStep else { return "the beginning" }
    return "step \(step)" + (attempt.resumedFromRun.map { " of \($0)" } ?? "")
  }

  /// What people wrote, each with its author and time.
  static func notes(_ notes: [RunNoteView], _ times: TimeText) -> String {
    notes.map { note in
      let lines = note.text.split(separator: "\n", omittingEmptySubsequences: false)
        .map { "  " + Printable.line(String($0)) }
      return (["\(times.absolute(note.at)) \(Printable.line(note.author)):"] + lines).joined(separator: "\n")
    }.joined(separator: "\n")
  }
}
