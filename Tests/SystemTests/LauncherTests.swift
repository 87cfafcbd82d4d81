import APIClient
import Domain
import Foundation
import Lab
import Testing
import Wire

/// Programs that are written for a framework's own launcher.
@Suite struct LauncherTests {
  /// Debian's Python, which Debian's `python3-torch` is for.
  private static let python = "/usr/bin/python3"

  /// Whether that finds PyTorch, without loading it.
  private static let hasTorch: Bool = {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: python)
    process.arguments = ["-c", "import sys, importlib.util as u; sys.exit(u.find_spec('torch') is None)"]
    do { try process.run() } catch { return false }
    process.waitUntilExit()
    return process.terminationStatus == 0
  }()

  /// The program of `examples/pytorch`, as it is there, for DDP with gloo.
  private func torchJob(_ name: String, _ flags: String, nodes: Int = 2, steps: Int = 300) -> String {
    """
    name: \(name)
    resources: {nodes: \(nodes), gpus_per_node: 0}
    launcher: {kind: torchrun}
    run: \(Self.python) \(Places.repository)/examples/pytorch/train.py --steps \(steps) \(flags)
    env: {OMP_NUM_THREADS: "1"}
    checkpoint: {every: 3s}
    seeds: {global: 7}

    """
  }

  @Test(.enabled(if: hasTorch, "DDP needs Debian's python3-torch: scripts/install-deps.sh frameworks installs it"))
  func aPyTorchRunOverTwoLeasesEqualsOneWithoutInterruption() async throws {
    try await SystemFixture.with(nodes: 2, limit: .seconds(240)) { s in
      try await s.lease("first", seconds: 25)
      try await s.lease("second", seconds: 3600, startIn: 25)
      let resumed = try await s.submit(torchJob("resumed", "--pace 0.1")).id
      try await s.wait(resumed, .completed)
      let run = try await s.client.run("\(resumed)")
      #expect(run.attempts.map(\.outcome) == [.leaseEnded, .completed], "\(run.attempts.map(\.detail))")
      #expect(run.stepsRedone == 0)
      #expect((run.attempts.last?.resumedFromStep ?? 0) > 0)
      let whole = try await s.submit(torchJob("uninterrupted", "")).id
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
  @Test(.enabled(if: hasTorch, "DDP needs Debian's python3-torch: scripts/install-deps.sh frameworks installs it"))
  func aPyTorchRunOnFourNodesThatWasStoppedEqualsOneWithoutInterruption() async throws {
    try await SystemFixture.with(nodes: 4, limit: .seconds(240)) { s in
      try await s.lease()
      let resumed = try await s.submit(torchJob("resumed", "--pace 0.1", nodes: 4, steps: 120)).id
      try await s.wait(resumed, until: "at work") { ($0.lastStep ?? 0) > 10 }
      for try await step in try await s.client.drill("first", DrillRequest(stop: true)) {
        if let report = step.report { #expect(report.passed, "\(report.checks)") }
      }
      try await s.wait(resumed, .completed)
      let run = try await s.client.run("\(resumed)")
      #expect(run.attempts.map(\.outcome) == [.leaseEnded, .completed], "\(run.attempts.map(\.detail))")
      #expect(run.stepsRedone == 0)
      let whole = try await s.submit(torchJob("uninterrupted", "", nodes: 4, steps: 120)).id
      try await s.wait(whole, .completed)
      let series = try await s.client.metrics("\(resumed)", "loss")
      #expect(series.steps == Array(1...120))
      #expect(series.values == (try await s.client.metrics("\(whole)", "loss")).values)
    }
  }

  /// One node, then two: a sum over other ranks has other last bits.
  @Test(.enabled(if: hasTorch, "DDP needs Debian's python3-torch: scripts/install-deps.sh frameworks installs it"))
  func anElasticRunGoesOnOnAsManyNodesAsTheNextLeaseHas() async throws {
    try await SystemFixture.with(nodes: 2, limit: .seconds(240)) { s in
      let names = try s.lab.nodes.map(\.name)
      try await s.lease("first", nodes: [names[0]], seconds: 25)
      try await s.lease("second", seconds: 3600, startIn: 25)
      func job(_ name: String, nodes: String, _ flags: String) -> String {
        torchJob(name, "--batch $BATON_BATCH_GLOBAL " + flags)
          .replacingOccurrences(of: "nodes: 2,", with: "nodes: \(nodes),") + "batch: {keep: global, size: 96}\n"
      }
      let elastic = try await s.submit(job("elastic", nodes: "1-2", "--pace 0.1")).id
      try await s.wait(elastic, .completed)
      let run = try await s.client.run("\(elastic)")
      #expect(run.attempts.map(\.nodes.count) == [1, 2], "\(run.attempts.map(\.detail))")
      #expect(run.stepsRedone == 0 && (run.attempts.last?.resumedFromStep ?? 0) > 0)
      let whole = try await s.submit(job("uninterrupted", nodes: "2", "")).id
      try await s.wait(whole, .completed)
      let left = try await s.client.metrics("\(elastic)", "loss")
      let right = try await s.client.metrics("\(whole)", "loss")
      #expect(left.steps == Array(1...300) && right.steps == left.steps)
      let worst = zip(left.values, right.values).map { abs($0 - $1) / max($0, $1) }.max() ?? 1
      #expect(worst < 0.001, "a step's losses differ by \(worst)")
    }
  }

  @Test(.enabled(if: TestPython.mxnet != nil, TestPython.advice))
  func mxnetWorkersAddUpByTheirServers() async throws {
    try await SystemFixture.with(nodes: 2) { s in
      try await s.lease()
      let job = try await s.submit(
        """
        name: sums
        resources: {nodes: 2, gpus_per_node: 0}
        launcher: {kind: mxnet, servers: 3}
        run: \(TestPython.mxnet ?? "") \(Places.programsFolder)/mxnet_sum.py

        """
      ).id
      let end = try await s.wait(job, .completed)
      #expect(end.attempt?.detail == "every rank ended with 0")
      var said = ""
      for rank in 0...1 { said += try await s.baton("logs", "\(job.rawValue)", "--rank", "\(rank)").output }
      #expect(said.contains("worker 0 of 2: 15") && said.contains("worker 1 of 2: 15"), "\(said)")
    }
  }

  /// What TensorFlow itself makes of it is not looked at here.
  @Test func everyRankOfATensorFlowJobKnowsTheSamePorts() async throws {
    try await SystemFixture.with(nodes: 2) { s in
      try await s.lease()
      let job = try await s.submit(
        """
        name: who is where
        resources: {nodes: 2, gpus_per_node: 0}
        launcher: {kind: tensorflow, processes_per_node: 2}
        run: [bash, -c, 'echo "$$TF_CONFIG"']

        """
      ).id
      try await s.wait(job, .completed)
      var clusters: Set<[String]> = []
      for rank in 0...3 {
        let log = try await s.baton("logs", "\(job.rawValue)", "--rank", "\(rank)")
        let line = try #require(log.output.split(separator: "\n").first { $0.hasPrefix("{") }, "\(log.output)")
        let found = try JSONDecoder().decode(Configuration.self, from: Data(line.utf8))
        #expect(found.task.index == rank)
        clusters.insert(found.cluster["worker"] ?? [])
      }
      let workers = try #require(clusters.first)
      #expect(clusters.count == 1 && Set(workers).count == 4, "\(clusters)")
      let hosts = workers.map { $0.prefix { $0 != ":" } }
      #expect(hosts[0] == hosts[1] && hosts[2] == hosts[3] && hosts[0] != hosts[2], "node by node: \(workers)")
    }
  }
}

private struct Configuration: Decodable {
  struct Task: Decodable {
    var index: Int
  }
  var cluster: [String: [String]]
  var task: Task
}
