import APIClient
import ArgumentParser
import Domain
import Foundation
import Lab
import Wire

/// `baton-bench handoff`: how long a run stands still between two leases, part by part, on warm nodes and on cold ones.
struct HandoffBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "handoff",
    abstract: "Hand a run from lease to lease: onto nodes that were staged ahead, and onto bare ones.")

  @Option(help: "How many handoffs of each kind.")
  var times = 5

  @Option(help: ArgumentHelp("Size of the data set that the run reads.", valueName: "MiB"))
  var dataSize = 200

  @Option(help: ArgumentHelp("How long the lease lasts from which the run goes away.", valueName: "seconds"))
  var leaseSeconds = 40

  @OptionGroup var options: BenchOptions

  func validate() throws {
    guard times > 0, dataSize > 0 else { throw ValidationError("--times and --data-size are at least 1") }
    guard leaseSeconds >= 25 else { throw ValidationError("--lease-seconds is at least 25: less holds no attempt") }
  }

  func run() async throws {
    let found = try await BenchLab.with("handoff", options, nodes: 4) { bench in
      try await bench.addRandomData("random", mebibytes: dataSize)
      let program = try BeatProgram(in: bench.outside)
      return try await bench.withClient { client in
        var found: [Bool: [Handoff]] = [:]
        for index in 0..<(2 * times) {
          // In turn, so that what else happens on this machine meets both.
          let round = HandoffRound(
            bench: bench, client: client, program: program, index: index, isWarm: index % 2 == 0, length: leaseSeconds)
          found[round.isWarm, default: []].append(try await round.run())
        }
        return found
      }
    }
    let figures = Self.figures("warm", found[true] ?? [], goal: .atMost(5)) + Self.figures("cold", found[false] ?? [])
    try BenchResult(name: "handoff", machine: Machine.text(options), figures: figures).publish(to: options.results)
  }

  /// The whole, and each of its parts.
  private static func figures(_ kind: String, _ handoffs: [Handoff], goal: Goal? = nil) -> [Figure] {
    let whole = Figure.median(
      "\(kind)_total", handoffs.map(\.total.seconds), "s", goal: goal,
      against: kind == "warm"
        ? "cold: the next lease begins as the old one ends, on nodes without agent and data" : nil)
    return [whole]
      + Handoff.Step.allCases.map { step in
        .median("\(kind)_\(step.rawValue)", handoffs.map { $0.length(of: step).seconds }, "s")
      }
  }
}

/// One handoff, from the first lease to a few steps in the second.
private struct HandoffRound {
  let bench: BenchLab
  let client: BatonClient
  let program: BeatProgram
  let index: Int
  let isWarm: Bool
  let length: Int

  /// Rounds take turns on two pairs of nodes: while one pair is used the lab wipes the other.
  private var pair: [String] { Array(bench.nodeNames[(index % 2 * 2)...].prefix(2)) }

  func run() async throws -> Handoff {
    try await waitUntil("\(pair) to be alive", within: .seconds(120), every: .milliseconds(200)) {
      try await client.nodes().items.filter { pair.contains($0.name) }.allSatisfy { $0.state == .alive }
    }
    let first = try await client.createLease(
      LeaseRequest(name: "handoff-\(index)-a", nodeNames: [pair[0]], duration: "\(length)s"))
    let job = try await client.submit(file: program.job("handoff-\(index)", steps: 1_000_000, data: "random"))
    try await waitUntil("a step of \(job)", within: .seconds(60)) { try await client.job("\(job)").lastStep != nil }
    let second = try await client.createLease(
      LeaseRequest(
        name: "handoff-\(index)-b", nodeNames: [pair[1]], start: isWarm ? nil : first.end.iso8601,
        duration: "\(length + 120)s"))
    if isWarm {
      try await waitUntil("the data of \(job) on \(pair[1])", within: .seconds(60)) {
        try await client.dataset("random").items.contains { $0.replicas.contains { $0.name == pair[1] } }
      }
    } else {
      try await makeBare(pair[1], before: first.end)
    }
    var handoff: Handoff?
    try await waitUntil("\(job) to step in its second lease", within: .seconds(180), every: .milliseconds(200)) {
      handoff = try await client.run("\(job)").handoffs?.first
      return handoff != nil
    }
    guard let handoff else { throw BenchFailure("\(job) tells no handoff") }
    bench.progress.say("\(isWarm ? "warm" : "cold") \(index / 2 + 1): \(handoff)")
    _ = try await client.cancel("\(job)", now: true)
    _ = try await client.waitForEnd(of: job)
    _ = try await client.deleteLease("\(second.id)")
    return handoff
  }

  /// Takes the agent away from a node just before its lease begins, as a fresh installation has none.
  private func makeBare(_ name: String, before end: Timestamp) async throws {
    guard let node = bench.description.nodes.first(where: { $0.name == name }) else { return }
    let left = end.secondsSinceEpoch - wallClock() - 0.3
    if left > 0 { try await Task.sleep(for: .seconds(left)) }
    let agent = "\(node.rootPath)/agent"
    if FileManager.default.fileExists(atPath: agent) { try FileManager.default.removeItem(atPath: agent) }
  }
}
