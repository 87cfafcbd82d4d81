import ArgumentParser
import Domain
import Lab

/// `baton-bench lease-end`: lease ends in virtual time, by the rule that decides when the last save begins.
struct LeaseEndBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lease-end",
    abstract: "Simulate lease ends; see how many last checkpoints are durable in time, and what that costs.")

  @Option(help: "How many lease ends.")
  var times = 1000

  @Option(help: "The same seed gives the same figures.")
  var seed: UInt64 = 1

  @OptionGroup var options: BenchOptions

  func validate() throws {
    guard times > 0 else { throw ValidationError("--times 1...") }
  }

  func run() async throws {
    var simulation = LeaseEndSimulation(seed: seed)
    let endings = (0..<times).map { _ in simulation.run() }
    let spare = endings.map(\.spare.seconds)
    let share = Double(spare.count { $0 > 0 }) / Double(times)
    let figures = [
      Figure(
        "simulated_durable_share", share, "of leases", goal: .atLeast(0.999), against: "\(times) simulated lease ends"),
      Figure("simulated_seconds_unused_median", spare.median, "s", against: "the lease's end"),
      Figure("simulated_seconds_unused_least", spare.min(), "s", goal: .above(0), against: "the lease's end"),
      Figure("simulated_lead_median", endings.map(\.lead.seconds).median, "s", against: "10 s, fixed, before"),
      Figure(
        "simulated_uploads_late", Double(endings.reduce(0) { $0 + $1.uploadsLate }), "uploads", goal: .equal(0),
        against: "half of the interval between saves"),
    ]
    try BenchResult(name: "lease-end", machine: Machine.text(options), figures: figures).publish(to: options.results)
  }
}
