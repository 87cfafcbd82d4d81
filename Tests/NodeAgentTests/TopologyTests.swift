import Domain
import Foundation
import Testing
import Wire

/// How ranks share GPUs, with a stand-in for `nvidia-smi`: none of these GPUs exists.
@Suite(.timeLimit(.minutes(2)))
struct TopologyAgentTests {
  /// What two ranks see of GPUs 0 to 3, where `nvidia-smi topo -m` runs `answer`.
  private func seen(_ fixture: AgentFixture, where answer: String) async throws -> [String] {
    let bin = fixture.scratch + "/bin"
    try FileManager.default.createDirectory(atPath: bin, withIntermediateDirectories: true)
    let script = """
      #!/bin/bash
      # Stand-in for nvidia-smi.
      [ "$*" = "topo -m" ] || exit 2
      \(answer)
      """
    try Data(script.utf8).write(to: URL(fileURLWithPath: bin + "/nvidia-smi"))
    chmod(bin + "/nvidia-smi", 0o755)
    let node = fixture.node(under: ["/usr/bin/env", "PATH=\(bin):/usr/bin:/bin"])
    var order = try fixture.order("echo $CUDA_VISIBLE_DEVICES", processes: 2)
    order.gpus = [0, 1, 2, 3]
    order.gpuView = .own
    let (outcome, _) = try await fixture.run(order, on: node)
    #expect(outcome.exits.map(\.code) == [0, 0], "\(outcome)")
    return try (0..<2).map { try fixture.text(node.folder() + "/logs/rank-\($0).log") }
  }

  @Test func ranksGetThoseThatAreLinked() async throws {
    try await AgentFixture.with { fixture in
      let rows = ["X SYS PHB SYS", "SYS X SYS PHB", "PHB SYS X SYS", "SYS PHB SYS X"]
      let matrix = "GPU0 GPU1 GPU2 GPU3\\n" + (0..<4).map { "GPU\($0) \(rows[$0])\\n" }.joined()
      let seen = try await seen(fixture, where: "printf '\(matrix)'")
      #expect(seen == ["0,2\n", "1,3\n"])
    }
  }

  @Test(arguments: ["exit 9", "echo 'no such table'"])
  func nothingFailsWhereNothingIsTold(answer: String) async throws {
    try await AgentFixture.with { fixture in
      let seen = try await seen(fixture, where: answer)
      #expect(seen == ["0,1\n", "2,3\n"])
    }
  }
}
