internal import Domain
internal import Yams

/// Reads what nodes have to have before the ranks start.
struct SetupReader {
  /// A lock file with hashes has some hundred bytes a package.
  private static let longestLock = 1 << 19

  let top: Section

  /// Nil where the file asks for nothing, or not rightly; then the log knows.
  func spec() -> SetupSpec? {
    let requirements = top.text("requirements", longest: Self.longestLock)
    let commands = (top.list("setup") ?? []).compactMap(command)
    guard requirements != nil || !commands.isEmpty else { return nil }
    return SetupSpec(requirements: requirements, commands: commands)
  }

  private func command(_ node: Node) -> [String]? {
    let words: [String]
    switch node {
    case .sequence(let items): words = items.compactMap { top.text(of: $0, "setup", longest: 100_000) }
    case .scalar:
      guard let text = top.text(of: node, "setup", longest: 100_000) else { return nil }
      do { words = try commandWords(text) } catch {
        top.log.add(error.description(of: "setup"), at: node.mark)
        return nil
      }
    default:
      top.log.add("setup: expected a command, or a list of its words, found \(node.kind)", at: node.mark)
      return nil
    }
    if words.isEmpty { top.log.add("setup: names no program", at: node.mark) }
    return words.isEmpty ? nil : words
  }
}
