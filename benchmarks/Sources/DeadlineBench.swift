import APIClient
import ArgumentParser
import Domain
import Foundation
import Glibc
import Lab
import Wire

/// `baton-bench deadline`: leases end while the controller is dead.
struct DeadlineBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "deadline",
    abstract: "Let leases end with batond dead; see whether the last checkpoint was in the store before.")

  @Option(help: "How many leases.")
  var times = 10

  @Option(help: "How many of them at a time, each on a node of its own.")
  var atOnce = 4

  @Option(help: ArgumentHelp("How long each lasts.", valueName: "seconds"))
  var leaseSeconds = 40

  @OptionGroup var options: BenchOptions

  func validate() throws {
    guard times > 0, (1...16).contains(atOnce) else { throw ValidationError("--times 1..., --at-once 1...16") }
    guard leaseSeconds >= 30 else { throw ValidationError("--lease-seconds: nothing starts in less than 30") }
  }

  func run() async throws {
    let outcomes = try await BenchLab.with("deadline", options, nodes: atOnce) { bench in
      let program = try BeatProgram(in: bench.outside)
      return try await bench.withClient { client in
        var outcomes: [DeadlineOutcome] = []
        while outcomes.count < times {
          let batch = DeadlineBatch(
            bench: bench, client: client, program: program, first: outcomes.count,
            count: min(atOnce, times - outcomes.count), leaseSeconds: leaseSeconds)
          outcomes += try await batch.run()
        }
        return outcomes
      }
    }
    let spare = outcomes.compactMap(\.spare)
    let figures = [
      Figure(
        "final_checkpoints_in_time", Double(spare.count(where: { $0 > 0 })), "leases", goal: .equal(Double(times)),
        against: "\(times) leases that ended", samples: outcomes.map { ($0.spare ?? -1) > 0 ? 1 : 0 }),
      Figure("seconds_to_spare_least", spare.min(), "s", goal: .above(0), against: "the lease's end", samples: spare),
      Figure.median("seconds_to_spare_median", spare, "s", against: "the lease's end"),
      Figure(
        "found_again", Double(outcomes.count(where: \.isFoundAgain)), "checkpoints", goal: .equal(Double(times)),
        against: "the step of the program's last save, known to the next batond"),
    ]
    try BenchResult(name: "deadline", machine: Machine.text(options), figures: figures).publish(to: options.results)
  }
}

/// What became of one lease's run.
struct DeadlineOutcome: Sendable {
  /// From the last checkpoint's manifest being in the store to the end of the lease; nil where there is none.
  var spare: Double?
  /// Whether the next controller knew that checkpoint as the one to resume from.
  var isFoundAgain: Bool
}

/// Some leases that end at about the same time, under a dead controller.
struct DeadlineBatch {
  let bench: BenchLab
  let client: BatonClient
  let program: BeatProgram
  let first: Int
  let count: Int
  let leaseSeconds: Int

  private struct Entry {
    var job: JobID
    var end: Timestamp
  }

  func run() async throws -> [DeadlineOutcome] {
    let entries = try await begin()
    bench.progress.say("\(count) jobs run; batond is killed, and stays dead until their leases have ended")
    try await bench.lab.controller.kill()
    let last = entries.map(\.end).max()?.secondsSinceEpoch ?? 0
    try await Task.sleep(for: .seconds(max(0, last + 1 - wallClock())))
    // Before anything of the controller runs again: what is there now, the nodes brought there by themselves.
    let spare = try entries.map { try secondsToSpare($0) }
    try await bench.lab.controller.start(migrating: false)
    var outcomes: [DeadlineOutcome] = []
    for (entry, spare) in zip(entries, spare) {
      let found = try await isFoundAgain(entry)
      outcomes.append(DeadlineOutcome(spare: spare, isFoundAgain: found))
      let text = spare.map { "\(Figure.text($0)) s to spare" } ?? "no checkpoint of the last step"
      bench.progress.say("\(entry.job): \(text), \(found ? "found again" : "NOT found again")")
    }
    return outcomes
  }

  private func begin() async throws -> [Entry] {
    var entries: [Entry] = []
    for index in 0..<count {
      let name = "deadline-\(first + index)"
      let lease = try await client.createLease(
        LeaseRequest(name: name, nodeNames: [bench.nodeNames[index]], duration: "\(leaseSeconds)s"))
      let job = try await client.submit(file: program.job(name, steps: 100_000, lease: name))
      entries.append(Entry(job: job, end: lease.end))
    }
    for entry in entries {
      try await waitUntil("\(entry.job) to run", within: .seconds(leaseSeconds)) {
        try await client.job("\(entry.job)").state == .running
      }
    }
    return entries
  }

  /// The step that the program saved last, when it was told to leave.
  private func lastStep(_ job: JobID) throws -> Int? {
    try program.beats().last { $0.job == job.rawValue && $0.word == "final" }?.step
  }

  private func secondsToSpare(_ entry: Entry) throws -> Double? {
    guard let step = try lastStep(entry.job) else { return nil }
    let folder = "\(bench.lab.layout.objects)/runs/\(entry.job.rawValue)/checkpoints"
    var status = stat()
    let manifest = "\(folder)/\(String(format: "%010d", step))-e1/manifest.json"
    guard stat(manifest, &status) == 0 else { return nil }
    // The change time is that of the rename that made the manifest visible.
    let visible = Double(status.st_ctim.tv_sec) + Double(status.st_ctim.tv_nsec) / 1e9
    return entry.end.secondsSinceEpoch - visible
  }

  private func isFoundAgain(_ entry: Entry) async throws -> Bool {
    let step = try lastStep(entry.job)
    do {
      try await waitUntil("\(entry.job) to be settled", within: .seconds(30), every: .milliseconds(100)) {
        let job = try await client.job("\(entry.job)")
        return step != nil && job.checkpointStep == step && !job.state.hasAttempt
      }
    } catch is BenchFailure {
      return false
    }
    _ = try await client.cancel("\(entry.job)")
    return true
  }
}
