import APIClient
import ArgumentParser
import Domain
import Foundation
import Wire

/// `baton-bench resume-bitwise`: PyTorch with dropout over shuffled data, in three leases that end in the middle of epochs.
struct ResumeBitwiseBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "resume-bitwise",
    abstract: "Train over three leases that end in the middle of epochs, and compare with one without interruption.")

  @Option(help: "Steps of the run.")
  var steps = 1000

  @Option(help: ArgumentHelp("How long each of the first two leases lasts.", valueName: "seconds"))
  var leaseSeconds = 30

  @Option(help: ArgumentHelp("A Python that has PyTorch.", valueName: "program"))
  var python = "/usr/bin/python3"

  @OptionGroup var options: BenchOptions

  func run() async throws {
    let figures = try await BenchLab.with("resume-bitwise", options, nodes: 4) { bench in
      try await bench.withClient { client in
        let first = try await client.createLease(
          LeaseRequest(name: "first", nodeNames: ["n1"], duration: "\(leaseSeconds)s"))
        let second = try await client.createLease(
          LeaseRequest(
            name: "second", nodeNames: ["n2"], start: first.end.iso8601, duration: "\(leaseSeconds)s"))
        _ = try await client.createLease(
          LeaseRequest(name: "third", nodeNames: ["n3"], start: second.end.iso8601, duration: "1h"))
        // As long as three leases want it to be, whatever the processors do.
        let resumed = try await client.submit(file: job("resumed", "--pace 0.07", lease: "auto"))
        let end = try await client.waitForEnd(of: resumed, within: .seconds(600))
        guard end.state == .completed else { throw BenchFailure("\(resumed) is \(end.state)") }
        // Not before: a run goes where there is most time.
        _ = try await client.createLease(LeaseRequest(name: "whole", nodeNames: ["n4"], duration: "1h"))
        let whole = try await client.submit(file: job("whole", "", lease: "whole"))
        _ = try await client.waitForEnd(of: whole, within: .seconds(600))
        let comparison = try await client.compare("\(resumed)", "\(whole)", metric: "loss")
        let run = try await client.run("\(resumed)")
        let stops = run.attempts.compactMap(\.resumedFromStep)
        bench.progress.say(
          "resumed from \(stops), \(comparison.stepsEqual) of \(comparison.stepsCompared) steps are equal")
        return [
          Figure("leases", Double(Set(run.attempts.map(\.lease)).count), "leases", goal: .atLeast(3)),
          Figure(
            "stops_within_an_epoch", Double(stops.filter { $0 % Self.stepsPerEpoch != 0 }.count), "stops",
            goal: .atLeast(1)),
          Figure("steps_compared", Double(comparison.stepsCompared), "steps", goal: .atLeast(200)),
          Figure(
            "steps_not_equal", Double(comparison.stepsCompared - comparison.stepsEqual), "steps", goal: .equal(0),
            against: "the same run in one lease"),
          Figure("steps_missing", Double(comparison.onlyInRun + comparison.onlyInOther), "steps", goal: .equal(0)),
          Figure("steps_computed_twice", Double(run.stepsRedone), "steps", goal: .equal(0)),
        ]
      }
    }
    try BenchResult(name: "resume-bitwise", machine: Machine.text(options), figures: figures)
      .publish(to: options.results)
  }

  /// 1,500 samples in batches of 32, the last one smaller.
  private static let stepsPerEpoch = 47

  private func job(_ name: String, _ flags: String, lease: String) -> String {
    """
    name: \(name)
    resources: {nodes: 1, gpus_per_node: 0}
    lease: {use: \(lease)}
    run: \(python) \(BenchOptions.absolute("examples/python/train.py")) --steps \(steps) \(flags)
    env: {OMP_NUM_THREADS: "1"}
    seeds: {global: 7}

    """
  }
}
