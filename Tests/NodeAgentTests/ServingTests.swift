import Domain
import Foundation
import TestKit
import Testing
import Wire

/// A job whose chief decides: TensorFlow's ParameterServerStrategy, whose other processes never end by themselves.
@Suite(.timeLimit(.minutes(2)))
struct ServingTests {
  /// `chief`, `worker` or `ps`, or `evaluator`, in `role`.
  private static let role = """
    cd "$BATON_CHECKPOINT_DIR/.."
    [[ $TF_CONFIG =~ '"type":"'([a-z]+) ]]; role=${BASH_REMATCH[1]}

    """

  private func order(
    _ fixture: AgentFixture, _ script: String, node: Int = 0, grace: Double = 60
  ) throws -> AttemptOrder {
    var order = try fixture.order(Self.role + script, grace: grace)
    order.launcherKind = .tensorflow
    order.strategy = .parameterServer
    order.evaluator = true
    order.servers = 1
    order.nodeRank = node
    if node > 0 { order.nodeAddresses = Array(repeating: "127.0.0.1", count: node + 1) }
    return order
  }

  private func launch(_ order: AttemptOrder, on node: TestNode) async throws -> Follower {
    try #expect(await node.start(order) == .ok)
    let follower = try Follower(node, order.attempt)
    try await follower.event { if case .staged = $0 { true } else { false } }
    let nodes = order.nodeAddresses.count
    let ports = (0..<nodes).reduce(0) { $0 + order.launcher.listeners(onNode: $1, of: nodes) }
    let launch = ControlCommand.launch(masterPort: 29_500, rankPorts: Array(29_501..<29_501 + ports))
    try #expect(await node.control(order.attempt, launch) == .ok)
    return follower
  }

  /// How helpers of the attempt ended, by name.
  private func helperEnds(_ follower: Follower) -> [String: String] {
    var ends: [String: String] = [:]
    for case .journal(let entry) in follower.frames {
      guard case .helperEnded(let name, let code, let signal) = entry.event else { continue }
      ends[name] = code.map { "exited \($0)" } ?? "signal \(signal ?? 0)"
    }
    return ends
  }

  @Test func asksForAPortForEachProcessThatListens() async throws {
    try await AgentFixture.with { fixture in
      let node = fixture.node()
      let order = try order(fixture, "exit 0")
      try #expect(await node.start(order) == .ok)
      let follower = try Follower(node, order.attempt)
      let staged = try await follower.event { if case .staged = $0 { true } else { false } }
      guard case .staged(let port, _, _, _, let ports) = staged else { return }
      #expect(ports?.count == 3 && Set([port] + (ports ?? [])).count == 4, "chief, worker and ps: \(ports ?? [])")
    }
  }

  /// The evaluator may finish what it does, whatever serves is killed: it has a handler, and would never leave.
  @Test func allOthersEndOnceTheChiefIsDone() async throws {
    try await AgentFixture.with { fixture in
      let script = """
        case $role in
        chief) exec {go}<> <(:); mkfifo go.tmp; mv go.tmp go; read -r word <go; exit 0;;
        evaluator) trap 'echo judged; exit 0' TERM;;
        *) trap 'echo told' TERM;;
        esac
        mv $(mktemp here.XXXXXX) ready.$role
        """
      let node = fixture.node()
      let follower = try await launch(try order(fixture, script + Script.wait), on: node)
      let folder = node.folder()
      let files = ["go", "ready.worker", "ready.ps", "ready.evaluator"].map { "\(folder)/\($0)" }
      try await FileChanges.until(in: [folder]) { files.allSatisfy { fixture.isThere($0) } }
      try Data("on\n".utf8).write(to: URL(fileURLWithPath: files[0]))
      let outcome = try await follower.outcome()
      #expect(outcome.exits == [.init(rank: 0, code: 0, signal: nil)])
      #expect(outcome.helpers == nil && outcome.stopped == nil)
      #expect(helperEnds(follower) == ["worker-0": "signal 9", "ps-0": "signal 9", "evaluator": "exited 0"])
      #expect(try fixture.text(folder + "/logs/evaluator.log") == "ready\njudged\n")
    }
  }

  /// It may need them to save.
  @Test func aChiefThatIsToldToLeaveHasItsServersUntilItIsGone() async throws {
    try await AgentFixture.with { fixture in
      let script = """
        [ $role = ps ] && { mkfifo ask.tmp answer; exec {ask}<>ask.tmp {answer}<>answer; mv ask.tmp ask
          while read -r -u $ask word; do echo here >&$answer; done; }
        trap 'until [ -p ask ]; do :; done; echo weights >ask; read -r word <answer; echo $word; exit 85' TERM
        """
      let node = fixture.node()
      let order = try order(fixture, script + Script.wait)
      let follower = try await launch(order, on: node)
      try await follower.event { if case .firstLine = $0 { true } else { false } }
      try #expect(await node.control(order.attempt, .stop(.cancelled)) == .ok)
      let outcome = try await follower.outcome()
      #expect(outcome.exits == [.init(rank: 0, code: 85, signal: nil, wasTold: true)])
      #expect(try fixture.text(node.folder() + "/logs/rank-0.log") == "ready\nhere\n")
      #expect(outcome.helpers == nil)
    }
  }

  @Test func aNodeWhereAllServeWaitsForTheChiefOfAnother() async throws {
    try await AgentFixture.with { fixture in
      let node = fixture.node()
      let order = try order(fixture, "trap 'echo told' TERM" + Script.wait, node: 1)
      let follower = try await launch(order, on: node)
      try await follower.event { if case .firstLine = $0 { true } else { false } }
      try #expect(await node.control(order.attempt, .stop(.leaseEnd)) == .ok)
      try await follower.event { if case .stopping(.leaseEnd) = $0 { true } else { false } }
      try #expect(await node.control(order.attempt, .stop(.chiefGone)) == .ok)
      let outcome = try await follower.outcome()
      #expect(outcome.exits == [.init(rank: 1, code: nil, signal: 9, wasTold: true)])
      #expect(outcome.stopped == .leaseEnd)
      #expect(try fixture.text(node.folder() + "/logs/rank-1.log") == "ready\n", "it was not told, but killed")
    }
  }

  @Test func aNodeWhereAllServeWaitsNoLongerThanTheGrace() async throws {
    try await AgentFixture.with { fixture in
      let node = fixture.node()
      let order = try order(fixture, "trap 'echo told' TERM" + Script.wait, node: 1, grace: 1)
      let follower = try await launch(order, on: node)
      try await follower.event { if case .firstLine = $0 { true } else { false } }
      try #expect(await node.control(order.attempt, .stop(.cancelled)) == .ok)
      let outcome = try await follower.outcome()
      #expect(outcome.exits == [.init(rank: 1, code: nil, signal: 9, wasTold: true)])
      #expect(outcome.stopped == .cancelled)
    }
  }

  @Test(arguments: [0, 1])
  func aWorkerThatDiesEndsItsNode(nodeRank: Int) async throws {
    try await AgentFixture.with { fixture in
      let script = """
        [ $role = chief ] && trap 'exit 85' TERM
        [ $role = worker ] && { echo "no such operation"; exit 3; }
        """
      let node = fixture.node()
      let follower = try await launch(try order(fixture, script + Script.wait, node: nodeRank), on: node)
      let outcome = try await follower.outcome()
      #expect(outcome.stopped == nil)
      if nodeRank == 0 {
        #expect(outcome.exits.map(\.wasTold) == [true])
        #expect(outcome.helpers?.map(\.name) == ["worker-0"])
        #expect(outcome.helpers?.first?.lastWords == "no such operation")
      } else {
        #expect(outcome.exits == [.init(rank: 1, code: 3, signal: nil, lastWords: "no such operation")])
      }
    }
  }
}
