import APIClient
import ArgumentParser
import Domain
import Foundation
import Lab
import Wire

/// `baton-bench goodput`: how much of many short leases a run spends on steps, against one lease of the same length.
struct GoodputBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "goodput",
    abstract: "Carry a run over short leases; tell what share of the leased time went into steps that count.")

  @Option(help: "Over how many leases.")
  var leases = 10

  @Option(help: ArgumentHelp("How long each lasts; one begins as the one before ends.", valueName: "seconds"))
  var leaseSeconds = 180

  @OptionGroup var options: BenchOptions

  func validate() throws {
    guard leases > 1 else { throw ValidationError("--leases is at least 2") }
    guard leaseSeconds >= 25 else { throw ValidationError("--lease-seconds is at least 25: less holds no attempt") }
  }

  func run() async throws {
    let (many, one) = try await BenchLab.with("goodput", options, nodes: 3) { bench in
      let program = try BeatProgram(in: bench.outside)
      return try await bench.withClient { client in
        let round = GoodputRound(
          bench: bench, client: client, program: program, leases: leases, length: leaseSeconds)
        return try await round.run()
      }
    }
    let length = Double(leases * leaseSeconds)
    let figures = [
      Figure(
        "goodput", many.stepTime / length, "of 1", goal: .atLeast(0.97),
        against: "\(Figure.text(one.stepTime / length)) of one lease of \(Figure.text(length)) s, at the same time"),
      Figure("goodput_one_lease", one.stepTime / length, "of 1"),
      Figure("steps_lost", Double(many.lost), "steps", goal: .equal(0)),
      Figure("steps_redone", Double(many.redone), "steps", goal: .equal(0)),
      Figure("steps", Double(many.steps), "steps", against: "\(one.steps) of the run in one lease"),
      Figure("attempts", Double(many.attempts), "attempts", goal: .equal(Double(leases))),
      Figure.median("handoff", many.handoffs.map(\.total.seconds), "s"),
      Figure.median("handoff_wait", many.handoffs.map { $0.length(of: .wait).seconds }, "s"),
      Figure("step_time", many.step, "s", against: "\(Figure.text(one.step)) s of the run in one lease"),
    ]
    try BenchResult(name: "goodput", machine: Machine.text(options), figures: figures).publish(to: options.results)
  }
}

/// What came of a run.
private struct Goodput {
  /// Different steps that have a value.
  var steps: Int
  /// How long one takes, in the middle.
  var step: Double
  var lost: Int
  var redone: Int
  var attempts: Int
  var handoffs: [Handoff]

  /// The time that went into steps that count.
  var stepTime: Double { Double(steps) * step }

  init(_ run: RunView, _ series: MetricSeries) {
    steps = series.steps.count
    let times = series.recordedAt ?? []
    let lengths = times.indices.dropFirst().filter { series.attempts[$0] == series.attempts[$0 - 1] }.map {
      (times[$0] - times[$0 - 1]).seconds
    }
    step = lengths.median ?? 0
    let last = series.steps.last ?? 0
    // Missing in between, and done but not saved at the end.
    lost = last - steps + max(0, last - (run.job.checkpointStep ?? 0))
    redone = run.stepsRedone
    attempts = run.attempts.count
    handoffs = run.handoffs ?? []
  }
}

/// Two runs at one time: one from lease to lease, one in a lease of its own.
private struct GoodputRound {
  let bench: BenchLab
  let client: BatonClient
  let program: BeatProgram
  let leases: Int
  let length: Int

  func run() async throws -> (many: Goodput, one: Goodput) {
    let start = try await client.leases().now + .seconds(3)
    for index in 0..<leases {
      try await lease("short-\(index)", on: bench.nodeNames[index % 2], from: start + .seconds(index * length), length)
    }
    try await lease("long", on: bench.nodeNames[2], from: start, leases * length)
    // In this order: the first takes the long lease's node, so that the second never gets it.
    let one = try await client.submit(file: program.job("one", steps: 1_000_000, lease: "long"))
    let many = try await client.submit(file: program.job("many", steps: 1_000_000))
    bench.progress.say("\(many) goes from lease to lease, \(one) stays in one, for \(leases * length) s")
    let end = start + .seconds(leases * length)
    try await waitUntil("the end of the leases", within: .seconds(leases * length + 60), every: .seconds(1)) {
      try await client.leases().now > end
    }
    var found: [Goodput] = []
    for job in [many, one] {
      try await waitUntil("\(job) to be settled", within: .seconds(60)) {
        try await client.job("\(job)").state == .leaseWait
      }
      found.append(
        Goodput(try await client.run("\(job)"), try await client.metrics("\(job)", "beat")))
      _ = try await client.cancel("\(job)", now: true)
    }
    for handoff in found[0].handoffs { bench.progress.say("\(handoff.from) to \(handoff.to): \(handoff)") }
    return (found[0], found[1])
  }

  private func lease(_ name: String, on node: String, from start: Timestamp, _ length: Int) async throws {
    _ = try await client.createLease(
      LeaseRequest(name: name, nodeNames: [node], start: start.iso8601, duration: "\(length)s"))
  }
}
