import Domain
import Foundation
import TestKit
import Testing
import Wire

/// Processes beside the ranks: here the scheduler and one server of an MXNet job on one node.
@Suite(.timeLimit(.minutes(2)))
struct HelperTests {
  private func order(_ fixture: AgentFixture, _ script: String) throws -> AttemptOrder {
    var order = try fixture.order("cd \"$BATON_CHECKPOINT_DIR/..\"\n" + script)
    order.launcherKind = .mxnet
    order.gpus = [1]
    return order
  }

  @Test func runTheSameProgramWithAnotherRole() async throws {
    try await AgentFixture.with { fixture in
      let node = fixture.node()
      let script = "echo \"$DMLC_ROLE ${RANK-none} $DMLC_NUM_SERVER $CUDA_VISIBLE_DEVICES\" > told.$DMLC_ROLE"
      let (outcome, follower) = try await fixture.run(try order(fixture, script), on: node)
      #expect(outcome.exits == [.init(rank: 0, code: 0, signal: nil)])
      #expect(outcome.helpers == nil)
      #expect(try fixture.text(node.folder() + "/told.worker") == "worker 0 1 1\n")
      #expect(try fixture.text(node.folder() + "/told.server") == "server none 1 \n")
      #expect(try fixture.text(node.folder() + "/told.scheduler") == "scheduler none 1 \n")
      let ended = follower.frames.compactMap { frame -> String? in
        guard case .journal(let entry) = frame, case .helperEnded(let name, 0, nil) = entry.event else { return nil }
        return name
      }
      #expect(Set(ended) == ["scheduler", "server-0"])
    }
  }

  /// Ranks of other nodes may still need it.
  @Test func areNotEndedWhenTheRanksOfTheirNodeAreDone() async throws {
    try await AgentFixture.with { fixture in
      let node = fixture.node()
      let script = """
        [ $DMLC_ROLE = server ] || exit 0
        mkfifo waits.tmp; exec {pipe}<>waits.tmp; mv waits.tmp waits; read -r -u $pipe word; echo $word
        """
      let follower = try await fixture.launch(try order(fixture, script), on: node)
      try await follower.event { if case .rankEnded = $0 { true } else { false } }
      let pipe = node.folder() + "/waits"
      try await FileChanges.until(in: [node.folder()]) { fixture.isThere(pipe) }
      let writer = try #require(FileHandle(forWritingAtPath: pipe))
      try writer.write(contentsOf: Data("done\n".utf8))
      try writer.close()
      let outcome = try await follower.outcome()
      #expect(outcome.exits == [.init(rank: 0, code: 0, signal: nil)])
      #expect(outcome.stopped == nil && outcome.helpers == nil)
      #expect(try fixture.text(node.folder() + "/logs/server-0.log") == "done\n")
    }
  }

  @Test func takeTheRanksWithThemWhenTheyFail() async throws {
    try await AgentFixture.with { fixture in
      let script = """
        [ $DMLC_ROLE = server ] && { echo "no room for the parameters"; exit 3; }
        trap 'exit 85' TERM
        """
      let (outcome, _) = try await fixture.run(try order(fixture, script + Script.wait), on: fixture.node())
      #expect(
        outcome.helpers == [.init(name: "server-0", code: 3, signal: nil, lastWords: "no room for the parameters")])
      #expect(outcome.exits.first?.wasTold == true)
    }
  }

  @Test func areKilledWhenTheRanksWereToldToLeaveAndHave() async throws {
    try await AgentFixture.with { fixture in
      let script = "[ $DMLC_ROLE = worker ] && trap 'exit 85' TERM" + Script.wait
      let node = fixture.node()
      let order = try order(fixture, script)
      let follower = try await fixture.launch(order, on: node)
      try await follower.event { if case .firstLine = $0 { true } else { false } }
      try #expect(await node.control(order.attempt, .stop(.cancelled)) == .ok)
      let outcome = try await follower.outcome()
      #expect(outcome.exits == [.init(rank: 0, code: 85, signal: nil, wasTold: true)])
      #expect(outcome.helpers == nil, "they were killed by Baton")
    }
  }
}
