import APIClient
import ArgumentParser
import Wire

/// `baton lease create`.
struct LeaseCreate: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "create",
    abstract: "Ask for nodes from a start to an end; accepted or refused at once.",
    discussion: Help.examples(
      "baton lease create week --nodes 2 --node-type gpu_a100 --duration 7d",
      "baton lease create night -N 4 --start 2026-11-21T18:00+01:00 --end 2026-11-22T08:00+01:00",
      "baton lease create --nodelist n1,n2 --start now+10m --duration 2h"))

  @Argument(help: "Its name; unique in the project while it is not over.")
  var name: String?

  @Option(name: [.customShort("N"), .long], help: "How many nodes.")
  var nodes: Int?

  @Option(
    name: [.customShort("w"), .customLong("nodelist")],
    help: ArgumentHelp("Which nodes, by name, with commas between them.", valueName: "names"),
    transform: Checked.names)
  var nodeNames: [String]?

  @Option(help: ArgumentHelp("Only nodes of this type.", valueName: "type"))
  var nodeType: String?

  @Option(
    name: [.customShort("b"), .customLong("start"), .customLong("start-date"), .customLong("begin")],
    help: ArgumentHelp("When it begins: ISO-8601 with an offset, now, now+10m. (default: now)", valueName: "time"),
    transform: Checked.moment)
  var start: String?

  @Option(
    name: [.customLong("end"), .customLong("end-date")],
    help: ArgumentHelp("When it ends.", valueName: "time"), transform: Checked.moment)
  var end: String?

  @Option(
    name: [.customShort("t"), .customLong("duration"), .customLong("time")],
    help: ArgumentHelp("How long it lasts: 30m, 2h30m, 7d.", valueName: "duration"), transform: Checked.duration)
  var duration: String?

  @OptionGroup var global: GlobalOptions

  func validate() throws {
    guard (nodes == nil) != (nodeNames == nil) else {
      throw ValidationError("say how many nodes (--nodes 2) or which (--nodelist n1,n2), one of the two")
    }
    if let nodes, nodes < 1 { throw ValidationError("--nodes \(nodes): a lease has at least one node") }
    guard (end == nil) != (duration == nil) else {
      throw ValidationError("say how long (--duration 2h) or until when (--end 2026-11-22T08:00Z), one of the two")
    }
  }

  /// What is sent.
  var request: LeaseRequest {
    LeaseRequest(
      name: name, nodes: nodes, nodeNames: nodeNames, nodeType: nodeType, start: start, end: end, duration: duration)
  }

  func run() async throws {
    try await global.withClient { client, context in
      let lease = try await client.createLease(request)
      try context.show(lease) { context.facts(LeaseText.facts(lease, context.times())) }
    }
  }
}
