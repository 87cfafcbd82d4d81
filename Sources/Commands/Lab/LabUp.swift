import ArgumentParser
import Domain
import Foundation
import Lab

/// `baton lab up`.
struct LabUp: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "up",
    abstract: "Make a lab, or wake one that exists, and add its nodes.",
    discussion: Help.examples("baton lab up --nodes 4", "baton lab up --lab /scratch/lab --gpus 2 --disk 5GiB"))

  @Option(help: "How many nodes.")
  var nodes = 4

  @Option(help: "Stand-in GPUs of each node: they are reported, and compute nothing.")
  var gpus = 1

  @Option(help: ArgumentHelp("Size of each node's disk. (default: 2GiB)", valueName: "size"), transform: Checked.bytes)
  var disk: ByteCount = .gibibytes(2)

  @Option(help: ArgumentHelp("Folder of baton-agent and baton-train for the nodes.", valueName: "folder"))
  var nodeBin: String?

  @OptionGroup var lab: LabOptions

  @Flag(help: "Print what there is as JSON.")
  var json = false

  func validate() throws {
    guard (1...250).contains(nodes) else { throw ValidationError("--nodes \(nodes): a lab has 1 to 250") }
    guard (0...64).contains(gpus) else { throw ValidationError("--gpus \(gpus): a lab node has 0 to 64") }
  }

  func run() async throws {
    let context = Context.current(json: json)
    let console = context.console
    let builder = LabBuilder(
      root: lab.root, nodes: nodes, gpusPerNode: gpus, disk: disk, nodePrograms: nodeBin, tell: console.note)
    let description = try await builder.up()
    try context.show(description) { Self.text(description) }
  }

  /// What to do with a lab.
  static func text(_ lab: LabDescription) -> String {
    var lines = ["the lab in \(lab.root) is up: \(lab.nodes.map(\.name).joined(separator: ", "))"]
    if let url = lab.url { lines.append("dashboard:     \(url)") }
    if let file = lab.clientConfiguration { lines.append("use it with:   export BATON_CONFIG=\(file)") }
    lines.append("take it down:  baton lab down --lab \(lab.root)")
    return lines.joined(separator: "\n")
  }
}
