import ArgumentParser
import Lab

/// `baton lab down`.
struct LabDown: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "down",
    abstract: "End a lab and remove all of it: database, store, nodes.",
    discussion: Help.examples("baton lab down", "baton lab down --keep-logs"))

  @Flag(help: "Leave the logs.")
  var keepLogs = false

  @OptionGroup var lab: LabOptions

  @Flag(help: "Print what was done as JSON.")
  var json = false

  /// What was removed.
  private struct Answer: Encodable {
    var removed: String?
  }

  func run() async throws {
    let context = Context.current(json: json)
    let lab = Lab(root: lab.root)
    let existed = lab.exists
    try await LabWork.run { try await lab.down(keepLogs: keepLogs) }
    try context.show(Answer(removed: existed ? lab.layout.root : nil)) {
      existed ? "the lab in \(lab.layout.root) is gone" : "there was no lab in \(lab.layout.root)"
    }
  }
}
