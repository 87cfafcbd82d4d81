import APIClient
import Domain
import Foundation
import Lab
import Testing
import Wire

/// Programs that are written for a framework's own launcher.
@Suite struct LauncherTests {
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
