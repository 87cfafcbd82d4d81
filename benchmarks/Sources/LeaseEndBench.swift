import APIClient
import ArgumentParser
import Domain
import Lab
import Wire

/// `baton-bench lease-end`: lease ends in virtual time, by the rule that decides when the last save begins, and real ones.
struct LeaseEndBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lease-end",
    abstract: "Let leases end; see how many last checkpoints are durable in time, and what that costs.")

  @Option(help: "How many lease ends are simulated.")
  var times = 1000

  @Option(help: "The same seed gives the same simulation.")
  var seed: UInt64 = 1

  @Option(help: "How many leases end in a lab.")
  var ends = 20

  @Option(help: "How many of them at a time, each on a node of its own.")
  var atOnce = 4

  @Option(help: ArgumentHelp("What a save is.", valueName: "MiB"))
  var size: Int64 = 64

  @Option(help: ArgumentHelp("How long each lease lasts.", valueName: "seconds"))
  var leaseSeconds = 60

  @OptionGroup var options: BenchOptions

  func validate() throws {
    guard times > 0, ends >= 0, size > 0 else { throw ValidationError("--times 1..., --ends 0..., --size 1...") }
    guard (1...16).contains(atOnce) else { throw ValidationError("--at-once 1...16") }
    guard leaseSeconds >= 30 else { throw ValidationError("--lease-seconds: nothing starts in less than 30") }
  }

  func run() async throws {
    var figures = simulated(tail: .init(oneIn: 50, factor: 2), name: "simulated", goal: .atLeast(0.999))
    figures += simulated(tail: .init(oneIn: 50, factor: 3), name: "simulated_tail_of_3", goal: nil)
    if ends > 0 { figures += Self.figures(of: try await realEnds()) }
    try BenchResult(name: "lease-end", machine: Machine.text(options), figures: figures).publish(to: options.results)
  }

  private func simulated(tail: LeaseEndSimulation.Tail, name: String, goal: Goal?) -> [Figure] {
    var simulation = LeaseEndSimulation(seed: seed, tail: tail)
    let endings = (0..<times).map { _ in simulation.run() }
    let spare = endings.map(\.spare.seconds)
    let late = endings.reduce(0) { $0 + $1.uploadsLate }
    let tailText = "one upload in \(tail.oneIn) takes \(Figure.text(tail.factor)) times as long"
    return [
      Figure(
        "\(name)_durable_share", Double(spare.count { $0 > 0 }) / Double(times), "of leases", goal: goal,
        against: "\(times) simulated lease ends; \(tailText)"),
      Figure("\(name)_seconds_unused_median", spare.median, "s", against: "the lease's end"),
      Figure("\(name)_seconds_unused_least", spare.min(), "s", against: "the lease's end"),
      Figure("\(name)_lead_median", endings.map(\.lead.seconds).median, "s", against: "10 s, fixed, before"),
      Figure(
        "\(name)_uploads_late", Double(late), "uploads", goal: .equal(0), against: "half of the interval of saves"),
    ]
  }

  private static func figures(of unused: [Double?]) -> [Figure] {
    let known = unused.compactMap { $0 }
    return [
      Figure(
        "real_durable_in_time", Double(known.count { $0 > 0 }), "leases", goal: .equal(Double(unused.count)),
        against: "\(unused.count) leases that ended", samples: unused.map { ($0 ?? -1) > 0 ? 1 : 0 }),
      Figure.median("real_seconds_unused_median", known, "s", against: "the lease's end"),
      Figure("real_seconds_unused_least", known.min(), "s", goal: .above(0), against: "the lease's end"),
    ]
  }

  /// From the last checkpoint being DURABLE to the end of its lease, of each lease; nil where there is none.
  private func realEnds() async throws -> [Double?] {
    try await BenchLab.with("lease-end", options, nodes: min(atOnce, ends), disk: .mebibytes(size * 8 + 1024)) {
      bench in
      let program = try BeatProgram(in: bench.outside)
      return try await bench.withClient { client in
        var unused: [Double?] = []
        while unused.count < ends {
          let count = min(atOnce, ends - unused.count)
          let batch = LeaseEndBatch(
            bench: bench, client: client, program: program, first: unused.count, count: count,
            leaseSeconds: leaseSeconds, size: .mebibytes(size))
          unused += try await batch.run()
        }
        return unused
      }
    }
  }
}

/// Some leases that end at about the same time, under jobs that run.
private struct LeaseEndBatch {
  /// Between two saves; several are measured before the end.
  private static let every = 6

  let bench: BenchLab
  let client: BatonClient
  let program: BeatProgram
  let first: Int
  let count: Int
  let leaseSeconds: Int
  let size: ByteCount

  func run() async throws -> [Double?] {
    var entries: [(job: JobID, lease: LeaseID, end: Timestamp)] = []
    for index in 0..<count {
      let name = "end-\(first + index)"
      let lease = try await client.createLease(
        LeaseRequest(name: name, nodeNames: [bench.nodeNames[index]], duration: "\(leaseSeconds)s"))
      let job = try await client.submit(
        file: program.job(name, steps: 100_000, lease: name, size: size, every: Self.every))
      entries.append((job, lease.id, lease.end))
    }
    bench.progress.say("\(count) leases that end in \(leaseSeconds) s")
    var unused: [Double?] = []
    for entry in entries {
      try await waitUntil(
        "\(entry.job) to have lost its lease", within: .seconds(leaseSeconds + 60), every: .milliseconds(200)
      ) {
        let job = try await client.job("\(entry.job)")
        return job.state.isFinal || job.state == .leaseWait
      }
      let left = try await secondsUnused(entry.job, entry.end)
      bench.progress.say(
        "\(entry.job): \(left.map { "\(Figure.text($0)) s unused" } ?? "its last save is not durable")")
      unused.append(left)
      _ = try await client.cancel("\(entry.job)")
    }
    // A job that left early waits before its lease is over, and the next leases want the same nodes.
    for entry in entries {
      try await waitUntil("\(entry.lease) to be over", within: .seconds(60), every: .milliseconds(200)) {
        try await client.lease("\(entry.lease)").state.isFinal
      }
    }
    return unused
  }

  private func secondsUnused(_ job: JobID, _ end: Timestamp) async throws -> Double? {
    // What the program saved when it was told to leave, not just the newest of what is there.
    guard let step = try program.beats().last(where: { $0.job == job.rawValue && $0.word == "final" })?.step else {
      return nil
    }
    let last = try await client.checkpoints(of: "\(job)").items.first { $0.step == step && $0.state == .durable }
    return (last?.durableAt).map { end.secondsSinceEpoch - $0.secondsSinceEpoch }
  }
}
