import APIClient
import Domain
import Foundation
import Lab
import TestKit
import Testing
import Wire

/// Programs of `examples`, as they are there, on real frameworks: over two leases, and without interruption.
@Suite struct FrameworkTests {
  /// A program of `examples`, and how it is started.
  private struct Program {
    var name: String
    /// Of the launcher.
    var keys: String
    var python: String?
    /// Below `examples`, with flags.
    var command: String
    var steps = 300

    /// The text of its job file.
    func job(_ flags: String = "", checkpoint: String = "every: 3s") -> String {
      """
      name: \(name)
      resources: {nodes: 2, gpus_per_node: 0}
      launcher: {\(keys)}
      run: \(python ?? "") \(Places.repository)/examples/\(command) --steps \(steps) \(flags)
      env: {OMP_NUM_THREADS: "1"}
      checkpoint: {\(checkpoint)}
      seeds: {global: 7}

      """
    }
  }

  private static let sharded = Program(
    name: "fsdp", keys: "kind: torchrun", python: TestPython.pytorch, command: "pytorch/train_fsdp.py")
  private static let mirrored = Program(
    name: "mirrored", keys: "kind: tensorflow", python: TestPython.tensorflow, command: "tensorflow/train.py")
  private static let servers = Program(
    name: "servers", keys: "kind: tensorflow, strategy: parameter_server, servers: 2, evaluator: true",
    python: TestPython.tensorflow, command: "tensorflow/train_servers.py")
  private static let jax = Program(
    name: "jax", keys: "kind: jax", python: TestPython.tensorflow, command: "jax/train.py")
  private static let synchronous = Program(
    name: "sync", keys: "kind: mxnet, servers: 2", python: TestPython.mxnet, command: "mxnet/train.py --mode sync")
  private static let asynchronous = Program(
    name: "async", keys: "kind: mxnet, servers: 2", python: TestPython.mxnet, command: "mxnet/train.py --mode async")

  /// The job after it ran over two leases, the first of `seconds`: done, and nothing done twice.
  ///
  /// Its steps take longer than that on any machine. The second begins when the nodes of the first were wiped: they are
  /// not to be wiped under it.
  private func overTwoLeases(_ program: Program, first seconds: Int, _ s: SystemFixture) async throws -> JobID {
    try await s.lease("first", seconds: seconds)
    let job = try await s.submit(program.job("--pace \(Double(seconds + 5) / Double(program.steps))")).id
    for node in try s.lab.nodes { try await s.wiped(node.name) }
    try await s.lease("second")
    try await s.wait(job, .completed)
    let run = try await s.client.run("\(job)")
    #expect(run.attempts.map(\.outcome) == [.leaseEnded, .completed], "\(run.attempts.map(\.detail))")
    #expect(run.stepsRedone == 0)
    #expect((run.attempts.last?.resumedFromStep ?? 0) > 0)
    return job
  }

  /// The loss has every step, and is the same in every bit as without interruption.
  private func expectTheSameBits(_ program: Program, first seconds: Int = 40) async throws {
    try await SystemFixture.with(nodes: 2, limit: .seconds(300)) { s in
      let resumed = try await overTwoLeases(program, first: seconds, s)
      let whole = try await s.submit(program.job()).id
      let end = try await s.wait(whole, .completed)
      let series = try await s.client.metrics("\(resumed)", "loss")
      #expect(series.steps == Array(1...program.steps))
      #expect(series.values == (try await s.client.metrics("\(whole)", "loss")).values)
      #expect((series.values.last ?? 1) < (series.values.first ?? 0) / 5, "it learns")
      guard program.keys.contains("evaluator") else { return }
      #expect(end.attempt?.detail == "the chief, rank 0, ended with 0")
      // It judged the chief's last checkpoint after the chief was gone.
      for job in [resumed, whole] {
        #expect(try await s.client.metrics("\(job)", "evaluation_loss").steps.last == program.steps)
      }
    }
  }

  /// Each rank saves the shards that it has.
  @Test(.enabled(if: TestPython.pytorch != nil, TestPython.advice))
  func pyTorchsFSDPGoesOnBitByBit() async throws {
    try await expectTheSameBits(Self.sharded, first: 25)
  }

  @Test(.enabled(if: TestPython.tensorflow != nil, TestPython.advice))
  func tensorFlowsMirroredStrategyGoesOnBitByBit() async throws {
    try await expectTheSameBits(Self.mirrored)
  }

  @Test(.enabled(if: TestPython.tensorflow != nil, TestPython.advice))
  func tensorFlowsParameterServersGoOnBitByBit() async throws {
    try await expectTheSameBits(Self.servers)
  }

  @Test(.enabled(if: TestPython.tensorflow != nil, TestPython.advice))
  func jaxGoesOnBitByBit() async throws {
    try await expectTheSameBits(Self.jax, first: 25)
  }

  @Test(.enabled(if: TestPython.mxnet != nil, TestPython.advice))
  func mxnetsDistSyncGoesOnBitByBit() async throws {
    try await expectTheSameBits(Self.synchronous, first: 25)
  }

  /// Whose gradient comes first is chance: no two runs are the same.
  @Test(.enabled(if: TestPython.mxnet != nil, TestPython.advice))
  func mxnetsDistAsyncGoesOnAndConverges() async throws {
    try await SystemFixture.with(nodes: 2, limit: .seconds(300)) { s in
      let job = try await overTwoLeases(Self.asynchronous, first: 25, s)
      let series = try await s.client.metrics("\(job)", "loss")
      #expect(series.steps == Array(1...Self.asynchronous.steps))
      #expect((series.values.last ?? 1) < (series.values.first ?? 0) / 5)
    }
  }

  /// MXNet's other workers would wait for it for ever, and hear no signal.
  @Test(.enabled(if: TestPython.mxnet != nil, TestPython.advice))
  func theDeathOfOneRankEndsTheAttemptLongBeforeTheGraceIsOver() async throws {
    try await SystemFixture.with(nodes: 2) { s in
      try await s.lease()
      let job = try await s.submit(Self.synchronous.job("--pace 0.1", checkpoint: "grace: 1h")).id
      let running = try await s.wait(job, until: "at work") { ($0.lastStep ?? 0) > 2 }
      let name = try #require(running.attempt?.nodes.last?.name)
      let victim = try #require(try process(with: "RANK=1", on: try s.lab.node(name)))
      kill(victim, SIGKILL)
      let end = try await s.wait(job, .failed)
      let words = "rank 1 was ended by signal 9, which Baton did not send: rank 1 of 2 starts at step 0"
      #expect(end.attempt?.detail?.hasPrefix(words) == true, "\(end.attempt?.detail ?? "")")
    }
  }

  private func process(with variable: String, on node: LabNode) throws -> Int32? {
    try node.processes().first { pid in
      let environment = FileManager.default.contents(atPath: "/proc/\(pid)/environ") ?? Data()
      return environment.split(separator: 0).contains { String(decoding: $0, as: UTF8.self) == variable }
    }
  }
}
