import Domain
import Foundation
import SSH
import TestKit
import Testing
import Wire

@testable import Launching

/// Staging, evicting and verifying over SSH, with a stand-in for the agent: a script that says what it is told to.
@Suite(.timeLimit(.minutes(5)))
struct AgentStagingTests {
  private static let order = StageOrder(
    controllerEpoch: 1, datasets: [], store: .folder(path: "/nowhere"), reserve: .zero, pinned: [], nodeRank: 0,
    nodeAddresses: ["127.0.0.1"], exchange: nil)

  /// A client whose agent is `script`, with as many nodes as asked for, all on one server.
  private func with(
    _ script: String, nodes count: Int = 1, _ body: (AgentClient, [NodeTarget]) async throws -> Void
  ) async throws {
    try await SSHDFixture.with { server in
      let file = server.folder.appendingPathComponent("agent")
      try Data("#!/bin/sh\nroot=$3\n\(script)\n".utf8).write(to: file)
      let client = AgentClient(identity: server.identity, binary: try AgentBinary(contentsOf: file.path))
      try await body(
        client,
        (0..<count).map { rank in
          NodeTarget(
            id: NodeID(Int64(rank + 1)), name: "node-\(rank)", endpoint: server.endpoint, hostKey: server.hostKey,
            root: server.folder.path + "/root-\(rank)")
        })
      await client.close()
    }
  }

  private func say(_ frame: StageFrame) throws -> String {
    "echo '\(String(decoding: try JSONEncoder().encode(frame), as: UTF8.self))'"
  }

  @Test func handsOnWhatHappensAndThenTheResult() async throws {
    let progress = AgentEvent.staging(done: ByteCount(1), total: ByteCount(2), rate: ByteCount(3), eta: .seconds(4))
    let script = try [
      say(.alive), say(.event(progress)), say(.staged(bytes: ByteCount(2), took: .seconds(5))),
    ].joined(separator: "\n")
    try await with("read line\n" + script) { client, nodes in
      var heard: [AgentEvent] = []
      let result = try await client.stage(Self.order, on: nodes[0]) { heard.append($0) }
      #expect(result == .staged(bytes: ByteCount(2), took: .seconds(5)))
      #expect(heard == [progress])
    }
  }

  @Test func whatCouldNotBeBroughtIsAResultAndARefusalIsAnError() async throws {
    try await with("\(try say(.failed(.changed(key: "a"))))\nexit 1") { client, nodes in
      let result = try await client.stage(Self.order, on: nodes[0]) { _ in }
      #expect(result == .failed(.changed(key: "a")))
    }
    try await with("\(try say(.refused("an older controller")))\nexit 1") { client, nodes in
      let error = await #expect(throws: AgentError.self) {
        try await client.stage(Self.order, on: nodes[0]) { _ in }
      }
      #expect(error?.code == .refused && error?.detail == "an older controller")
    }
  }

  @Test func anAgentThatEndsWithoutAResultHasFailed() async throws {
    try await with("echo 'no room' >&2; exit 3") { client, nodes in
      let error = await #expect(throws: AgentError.self) {
        try await client.stage(Self.order, on: nodes[0]) { _ in }
      }
      #expect(error?.code == .failed && error?.detail.contains("no room") == true)
    }
  }

  /// The second line of the input is what tells each node where the others serve; the third node cannot be asked.
  @Test func tellsTheNodesOfAGangWhereAllOfThemServe() async throws {
    let script = """
      read order
      case $root in *-2) exit 4;; esac
      \(try say(.event(.serving(port: 4000))))
      read notice
      echo "$notice" > "$root/notice"
      \(try say(.staged(bytes: .zero, took: .zero)))
      """
    try await with(script, nodes: 3) { client, nodes in
      var orders = [Self.order, Self.order, Self.order]
      for rank in orders.indices { orders[rank].nodeRank = rank }
      let results = await client.stage(orders, on: nodes) { _, _ in }
      for rank in 0...1 {
        #expect(try results[rank].get() == .staged(bytes: .zero, took: .zero))
        let notice = try Data(contentsOf: URL(fileURLWithPath: nodes[rank].root + "/notice"))
        #expect(try JSONDecoder().decode(PeerNotice.self, from: notice) == PeerNotice(ports: [4000, 4000, nil]))
      }
      #expect(throws: AgentError.self) { try results[2].get() }
    }
  }

  /// The node says where it serves, and goes on until its input ends.
  @Test func aNodeServesUntilTheCallerHasEnough() async throws {
    // Where it serves comes last: who is cut off while it writes dies of that.
    let frames = try [ServeFrame.alive, .serving(port: 4000, contentIDs: ["abc"])].map {
      "echo '\(String(decoding: try JSONEncoder().encode($0), as: UTF8.self))'"
    }
    let begin = ["read order", #"echo "$order" > "$root/order""#]
    let end = ["cat > /dev/null", #"echo > "$root/over""#]
    let order = ServeOrder(
      controllerEpoch: 1, datasets: [], store: .folder(path: "/nowhere"), address: "127.0.0.1",
      exchange: ExchangeOrder(key: "ab"))
    try await with((begin + frames + end).joined(separator: "\n")) { client, nodes in
      let (begun, tell) = AsyncStream.makeStream(of: Int.self)
      let serving = Task {
        try await client.serve(order, on: nodes[0]) { port, contentIDs in
          #expect(contentIDs == ["abc"])
          tell.yield(port)
        }
      }
      var ports = begun.makeAsyncIterator()
      #expect(await ports.next() == 4000)
      serving.cancel()
      await #expect(throws: CancellationError.self) { try await serving.value }
      try await FileChanges.until(in: [nodes[0].root]) {
        FileManager.default.fileExists(atPath: nodes[0].root + "/over")
      }
      let asked = try Data(contentsOf: URL(fileURLWithPath: nodes[0].root + "/order"))
      #expect(try JSONDecoder().decode(ServeOrder.self, from: asked) == order)
    }
    let refusal = String(decoding: try JSONEncoder().encode(ServeFrame.refused("no copy")), as: UTF8.self)
    try await with("read order\necho '\(refusal)'\nexit 1") { client, nodes in
      let error = await #expect(throws: AgentError.self) {
        try await client.serve(order, on: nodes[0]) { _, _ in Issue.record("it serves nothing") }
      }
      #expect(error?.code == .refused && error?.detail == "no copy")
    }
  }

  @Test func asksForTheReplicasThatAreMeant() async throws {
    let report = EvictionReport(removed: [], inUse: ["busy"])
    let found = VerificationReport(replicas: [])
    let script = """
      cat > "$root/$1"
      case $1 in
      evict) echo '\(String(decoding: try JSONEncoder().encode(report), as: UTF8.self))';;
      verify) echo '\(String(decoding: try JSONEncoder().encode(found), as: UTF8.self))';;
      esac
      """
    try await with(script) { client, nodes in
      #expect(try await client.evict(["abc"], on: nodes[0]) == report)
      #expect(try await client.verify(nil, on: nodes[0]) == found)
      for (verb, selection) in [("evict", ReplicaSelection(contentIDs: ["abc"])), ("verify", .init(contentIDs: nil))] {
        let asked = try Data(contentsOf: URL(fileURLWithPath: "\(nodes[0].root)/\(verb)"))
        #expect(try JSONDecoder().decode(ReplicaSelection.self, from: asked) == selection)
      }
    }
  }
}

@Suite struct PortBoardTests {
  @Test func speaksOnceWhenEveryNodeIsKnown() {
    var board = PortBoard(count: 3)
    #expect(board.heard(4001, from: 1) == nil)
    #expect(board.heard(nil, from: 1) == nil)
    #expect(board.heard(nil, from: 0) == nil)
    #expect(board.heard(4002, from: 2) == PeerNotice(ports: [nil, 4001, 4002]))
    #expect(board.heard(nil, from: 2) == nil)
  }
}
