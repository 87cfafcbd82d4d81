internal import Domain
internal import Yams

/// Reads how a program saves that does not do so as the contract says.
struct SavesReader {
  let section: Section

  /// Puts what the section says into `policy`; what is wrong with it is in the log.
  func read(into policy: inout CheckpointPolicy) {
    policy.program = program()
    policy.signal = signal()
    guard policy.every != nil, !policy.canBeAsked else { return }
    section.log.add(
      section.node("path") == nil
        ? "checkpoint.every: with signal: none nobody asks the program to save: leave one of them out"
        : "checkpoint.every: a program that saves by itself, in checkpoint.path, is not asked to: leave it out and tell the "
          + "program how often to save, or name the signal that makes it save, as in signal: USR1",
      at: section.node("every")?.mark)
  }

  private func program() -> ProgramSaves? {
    guard let path = section.word("path") else {
      if section.node("path") == nil, let node = section.node("pattern") {
        section.log.add(
          "checkpoint.pattern: means nothing without path, the folder that the program saves in", at: node.mark)
      }
      return nil
    }
    let pattern = section.word("pattern")
    if pattern == nil, section.node("pattern") != nil { return nil }
    do {
      return try ProgramSaves(path: path, pattern: pattern)
    } catch {
      let key = error.isAboutPattern && pattern != nil ? "pattern" : "path"
      section.log.add("\(section.path(key)): \(error)", at: section.node(key)?.mark)
      return nil
    }
  }

  private func signal() -> SaveSignal? {
    guard let word = section.word("signal") else { return nil }
    let name = word.uppercased()
    let known = SaveSignal.allCases
    if let signal = known.first(where: { $0.rawValue.uppercased() == name || "SIG" + $0.rawValue == name }) {
      return signal
    }
    section.log.add(
      "checkpoint.signal: what the ranks are asked to save with is one of "
        + "\(known.map(\.rawValue).joined(separator: ", ")); found '\(word)'", at: section.node("signal")?.mark)
    return nil
  }
}

extension ProgramSaves.Problem {
  fileprivate var isAboutPattern: Bool {
    switch self {
    case .absolute, .outside, .all: false
    case .noName, .unknownWord, .severalSteps: true
    }
  }
}
