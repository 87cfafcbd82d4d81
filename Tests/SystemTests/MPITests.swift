import APIClient
import Domain
import Foundation
import Lab
import Testing
import Wire

/// Ranks that Open MPI places, over nodes that have no keys for each other.
@Suite struct MPITests {
  private func job(_ name: String, _ words: String, grace: String = "20s") -> String {
    """
    name: \(name)
    resources: {nodes: 2, gpus_per_node: 0}
    launcher: {kind: mpi, processes_per_node: 2}
    run: \(TestPython.debian) -m mpi4py \(words)
    checkpoint: {every: 3s, grace: \(grace)}
    seeds: {global: 7}

    """
  }

  /// Four ranks on two nodes, asked to save and told to leave in the middle of it.
  @Test(.enabled(if: TestPython.hasMPI, TestPython.debianAdvice))
  func anMPIRunOverTwoLeasesEqualsOneWithoutInterruption() async throws {
    try await SystemFixture.with(nodes: 2, limit: .seconds(240)) { s in
      let program = "\(Places.repository)/examples/mpi/train.py --steps 300"
      try await s.lease("first", seconds: 25)
      try await s.lease("second", seconds: 3600, startIn: 25)
      let resumed = try await s.submit(job("resumed", "\(program) --pace 0.1")).id
      try await s.wait(resumed, .completed)
      let run = try await s.client.run("\(resumed)")
      #expect(run.attempts.map(\.outcome) == [.leaseEnded, .completed], "\(run.attempts.map(\.detail))")
      #expect(run.stepsRedone == 0)
      #expect((run.attempts.last?.resumedFromStep ?? 0) > 0)
      let whole = try await s.submit(job("uninterrupted", program)).id
      try await s.wait(whole, .completed)
      let comparison = try await s.baton("run", "compare", "\(resumed.rawValue)", "\(whole.rawValue)")
      #expect(comparison.status == 0, "\(comparison.output)")
      let series = try await s.client.metrics("\(resumed)", "loss")
      #expect(series.steps == Array(1...300))
      #expect(series.values == (try await s.client.metrics("\(whole)", "loss")).values)
      for rank in 0...3 {
        let log = try await s.baton("logs", "\(whole.rawValue)", "--rank", "\(rank)")
        #expect(log.output.contains("rank \(rank) of 4 starts at step 0"), "\(log.output)")
      }
    }
  }

  @Test(.enabled(if: TestPython.hasMPI, TestPython.debianAdvice))
  func anErrorOfOneRankEndsAllOfThemAndIsTheReason() async throws {
    try await SystemFixture.with(nodes: 2) { s in
      try await s.lease()
      let job = try await s.submit(job("breaks", "\(Places.programsFolder)/mpi_breaks.py")).id
      let end = try await s.wait(job, .failed)
      #expect(end.attempt?.detail == "rank 3 ended with exit code 1: ValueError: no such layer")
    }
  }
}
