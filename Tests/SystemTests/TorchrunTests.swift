import APIClient
import Domain
import Foundation
import Lab
import Testing
import Wire

/// Programs that are written for `torchrun`, on real PyTorch with gloo.
@Suite struct TorchrunTests {
  private static let examples = Places.repository + "/examples/pytorch"

  /// A program of `examples/pytorch`, as it is there.
  private func job(
    _ name: String, _ flags: String, program: String = "\(TestPython.debian) \(examples)/train.py", nodes: String = "2",
    steps: Int = 300
  ) -> String {
    """
    name: \(name)
    resources: {nodes: \(nodes), gpus_per_node: 0}
    launcher: {kind: torchrun}
    run: \(program) --steps \(steps) \(flags)
    env: {OMP_NUM_THREADS: "1"}
    checkpoint: {every: 3s}
    seeds: {global: 7}

    """
  }

  @Test(.enabled(if: TestPython.hasTorch, TestPython.debianAdvice))
  func aPyTorchRunOverTwoLeasesEqualsOneWithoutInterruption() async throws {
    try await SystemFixture.with(nodes: 2, limit: .seconds(240)) { s in
      try await s.lease("first", seconds: 25)
      try await s.lease("second", seconds: 3600, startIn: 25)
      let resumed = try await s.submit(job("resumed", "--pace 0.1")).id
      try await s.wait(resumed, .completed)
      let run = try await s.client.run("\(resumed)")
      #expect(run.attempts.map(\.outcome) == [.leaseEnded, .completed], "\(run.attempts.map(\.detail))")
      #expect(run.stepsRedone == 0)
      #expect((run.attempts.last?.resumedFromStep ?? 0) > 0)
      let whole = try await s.submit(job("uninterrupted", "")).id
      try await s.wait(whole, .completed)
      let comparison = try await s.baton("run", "compare", "\(resumed.rawValue)", "\(whole.rawValue)")
      #expect(comparison.status == 0, "\(comparison.output)")
      let series = try await s.client.metrics("\(resumed)", "loss")
      #expect(series.steps == Array(1...300))
      #expect(series.values == (try await s.client.metrics("\(whole)", "loss")).values)
    }
  }

  /// The sums of four are made in another order than those of two.
  ///
  /// The lease's end is only played: that is quicker.
  @Test(.enabled(if: TestPython.hasTorch, TestPython.debianAdvice))
  func aPyTorchRunOnFourNodesThatWasStoppedEqualsOneWithoutInterruption() async throws {
    try await SystemFixture.with(nodes: 4, limit: .seconds(240)) { s in
      try await s.lease()
      let resumed = try await s.submit(job("resumed", "--pace 0.1", nodes: "4", steps: 120)).id
      try await s.wait(resumed, until: "at work") { ($0.lastStep ?? 0) > 10 }
      for try await step in try await s.client.drill("first", DrillRequest(stop: true)) {
        if let report = step.report { #expect(report.passed, "\(report.checks)") }
      }
      try await s.wait(resumed, .completed)
      let run = try await s.client.run("\(resumed)")
      #expect(run.attempts.map(\.outcome) == [.leaseEnded, .completed], "\(run.attempts.map(\.detail))")
      #expect(run.stepsRedone == 0)
      let whole = try await s.submit(job("uninterrupted", "", nodes: "4", steps: 120)).id
      try await s.wait(whole, .completed)
      let series = try await s.client.metrics("\(resumed)", "loss")
      #expect(series.steps == Array(1...120))
      #expect(series.values == (try await s.client.metrics("\(whole)", "loss")).values)
    }
  }

  /// A first lease of `first` nodes and a second of `second`: the sum over another number of ranks has other last bits.
  private func expectElastic(from first: Int, to second: Int, program: String) async throws {
    try await SystemFixture.with(nodes: 2, limit: .seconds(240)) { s in
      let names = try s.lab.nodes.map(\.name)
      func elastic(_ name: String, nodes: String, _ flags: String) -> String {
        job(name, "--batch $BATON_BATCH_GLOBAL " + flags, program: program, nodes: nodes)
          + "batch: {keep: global, size: 96}\n"
      }
      try await s.lease("first", nodes: Array(names.prefix(first)), seconds: 25)
      try await s.lease("second", nodes: Array(names.prefix(second)), seconds: 3600, startIn: 25)
      let resumed = try await s.submit(elastic("elastic", nodes: "1-2", "--pace 0.1")).id
      try await s.wait(resumed, .completed)
      let run = try await s.client.run("\(resumed)")
      #expect(run.attempts.map(\.nodes.count) == [first, second], "\(run.attempts.map(\.detail))")
      #expect(run.stepsRedone == 0 && (run.attempts.last?.resumedFromStep ?? 0) > 0)
      let whole = try await s.submit(elastic("uninterrupted", nodes: "\(second)", "")).id
      try await s.wait(whole, .completed)
      let left = try await s.client.metrics("\(resumed)", "loss")
      let right = try await s.client.metrics("\(whole)", "loss")
      #expect(left.steps == Array(1...300) && right.steps == left.steps)
      let worst = zip(left.values, right.values).map { abs($0 - $1) / max($0, $1) }.max() ?? 1
      #expect(worst < 0.001, "a step's losses differ by \(worst)")
    }
  }

  @Test(.enabled(if: TestPython.hasTorch, TestPython.debianAdvice))
  func anElasticRunGoesOnOnAsManyNodesAsTheNextLeaseHas() async throws {
    try await expectElastic(from: 1, to: 2, program: "\(TestPython.debian) \(Self.examples)/train.py")
  }

  /// One rank reads the shards of two.
  @Test(.enabled(if: TestPython.pytorch != nil, TestPython.advice))
  func shardsAreSharedOutAnewWhereTheNextLeaseHasFewerNodes() async throws {
    let python = try #require(TestPython.pytorch)
    try await expectElastic(from: 2, to: 1, program: "\(python) \(Self.examples)/train_fsdp.py")
  }
}
