internal import Domain
internal import Yams

/// Reads what becomes of the batch on another number of ranks, and whether that goes with the rest of the file.
struct BatchReader {
  /// Nil where the file has none.
  let section: Section?
  let log: IssueLog
  let resources: JobResources
  /// Where `resources.nodes` stands.
  let nodesMark: Mark?
  let processesPerNode: Int

  /// The rule; nil where there is none, or it is wrong: that is in the log.
  func rule() -> BatchRule? {
    guard let section else {
      if resources.isElastic {
        let range = resources.nodesRange
        log.add(
          "resources.nodes: on \(range.lowerBound) to \(range.upperBound) nodes, say what becomes of the batch: "
            + "batch: {keep: global, size: N} keeps that of all ranks, {keep: local, size: N} that of each",
          at: nodesMark)
      }
      return nil
    }
    let kept = keep(section)
    if section.node("size") == nil { log.add("batch: 'size' is missing: say how many samples", at: section.mark) }
    guard let kept, let size = section.integer("size", in: 1...Int(Int32.max)) else { return nil }
    let ranks = resources.nodesRange.upperBound * processesPerNode
    if kept == .global, size < ranks {
      log.add(
        "batch.size: \(size) samples are less than one for each of \(ranks) ranks", at: section.node("size")?.mark)
    }
    return BatchRule(keep: kept, size: size)
  }

  private func keep(_ section: Section) -> BatchRule.Kept? {
    guard let node = section.node("keep") else {
      log.add("batch: 'keep' is missing: global keeps the batch of all ranks, local that of each", at: section.mark)
      return nil
    }
    guard let word = section.word("keep") else { return nil }
    if let kept = BatchRule.Kept(rawValue: word) { return kept }
    let hint = closest(to: word, among: BatchRule.Kept.allCases.map(\.rawValue)).map { ": did you mean '\($0)'?" } ?? ""
    log.add(
      "batch.keep: 'global' keeps the batch of all ranks, 'local' that of each; found '\(word)'\(hint)", at: node.mark)
    return nil
  }
}
