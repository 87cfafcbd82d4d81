import Testing

@testable import Launching

@Suite struct NodeTroubleTests {
  private struct OtherError: Error {}

  @Test func anAgentThatFailedWasReached() {
    let full = AgentError(.failed, node: "n1", detail: "cannot write node.json: No space left on device")
    let trouble = NodeTrouble(full)
    #expect(trouble == .agentFailed("cannot write node.json: No space left on device"))
    #expect(
      trouble.text(node: "n1", patience: "30s")
        == "agent failed on node n1, again and again for 30s: cannot write node.json: No space left on device")
    guard case .agentFailed = NodeTrouble(AgentError(.garbled, node: "n1", detail: "?")) else {
      Issue.record("it said something, so it was reached")
      return
    }
  }

  @Test func whatIsNotTheNodesTroubleIsNotHeldAgainstIt() {
    guard case .elsewhere = NodeTrouble(OtherError()) else {
      Issue.record("the node has nothing to do with it")
      return
    }
  }
}
