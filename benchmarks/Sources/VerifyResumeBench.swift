import APIClient
import ArgumentParser
import Domain
import Foundation
import Wire

/// `baton-bench verify-resume`: whether the ingredient is named that was left out of a checkpoint.
struct VerifyResumeBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify-resume",
    abstract: "Leave one ingredient at a time out of a PyTorch run's checkpoint, and see whether it is named.")

  @Option(help: "How many steps after the checkpoint are replayed.")
  var steps = 60

  @Option(help: ArgumentHelp("A Python that has PyTorch.", valueName: "program"))
  var python = "/usr/bin/python3"

  @OptionGroup var options: BenchOptions

  /// What is left out, and what has to be named.
  private static let planted: [(what: String, cause: Ingredient)] = [
    ("weights", .weights), ("optimizer", .optimizer), ("schedule", .optimizer), ("rng.python", .rng),
    ("rng.torch", .rng), ("data_order", .dataOrder), ("loss_scale", .lossScale), ("world_size", .worldSize),
    ("library", .library),
  ]

  func run() async throws {
    var figures: [Figure] = []
    try await BenchLab.with("verify-resume", options, nodes: 2) { bench in
      try await bench.withClient { client in
        _ = try await client.createLease(
          LeaseRequest(name: "proofs", nodeNames: bench.nodeNames, duration: "1h"))
        var took: [Double] = []
        func proof(_ what: String) async throws -> ResumeVerdict {
          let (verdict, seconds) = try await prove(what, bench, client)
          took.append(seconds)
          return verdict
        }
        let whole = try await proof("nothing")
        figures.append(
          Figure("nothing_is_bitwise_equal", whole.outcome == .equal ? 1 : 0, "yes", goal: .equal(1)))
        for (what, cause) in Self.planted {
          let verdict = try await proof(what)
          let isNamed = verdict.outcome == .diverged && verdict.cause == cause
          figures.append(Figure("\(what)_is_named", isNamed ? 1 : 0, "yes", goal: .equal(1)))
        }
        let chance = try await proof("chance")
        figures.append(
          Figure(
            "chance_is_not_blamed_on_the_checkpoint",
            chance.outcome == .diverged && chance.isDeterministic == false && chance.cause == nil ? 1 : 0, "yes",
            goal: .equal(1)))
        figures.append(.median("proof_of_\(steps)_steps", took, "s"))
      }
    }
    try BenchResult(name: "verify-resume", machine: Machine.text(options), figures: figures)
      .publish(to: options.results)
  }

  /// Runs the program, which leaves `what` out, and has its checkpoint of step 60 proved; how long that took.
  private func prove(
    _ what: String, _ bench: BenchLab, _ client: BatonClient
  ) async throws -> (ResumeVerdict, seconds: Double) {
    let program = BenchOptions.absolute("benchmarks/programs/forgetful_train.py")
    let job = try await client.submit(
      file: """
        name: without \(what)
        resources: {nodes: 1, gpus_per_node: 0}
        run: \(python) \(program) --steps \(60 + steps + 20) --save-every 60
        env: {OMP_NUM_THREADS: "1", FORGET: \(what)}
        checkpoint: {keep: {last: 10}}
        seeds: {global: 7}

        """)
    let end = try await client.waitForEnd(of: job)
    guard end.state == .completed else { throw BenchFailure("\(job) is \(end.state): \(end.reasonDetail ?? "")") }
    let began = ContinuousClock.now
    let check = try await client.verifyResume("\(job)", ResumeCheckRequest(step: 60, steps: steps))
    var last = check
    try await waitUntil("the verdict of \(check.id)", within: .seconds(180), every: .milliseconds(50)) {
      last = try await client.resumeCheck("\(check.id)")
      return last.verdict != nil
    }
    guard let verdict = last.verdict else { throw BenchFailure("\(check.id) has no verdict") }
    bench.progress.say("without \(what): \(verdict.outcome.rawValue): \(verdict.detail)")
    return (verdict, (ContinuousClock.now - began).inSeconds)
  }
}
