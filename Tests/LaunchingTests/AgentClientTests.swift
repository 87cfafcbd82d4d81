import Domain
import Foundation
import Launching
import SSH
import TestKit
import Testing

@Suite(.timeLimit(.minutes(5)))
struct AgentClientTests {
  @Test func sendsTheAgentItStartedWithWhenTheFileIsReplaced() async throws {
    try await SSHDFixture.with { server in
      let file = server.folder.appendingPathComponent("built-agent")
      try Data("the first version".utf8).write(to: file)
      let binary = try AgentBinary(contentsOf: file.path)
      try Data("a second version, longer than the first".utf8).write(to: file)

      let node = NodeTarget(
        id: NodeID(1), name: "node-1", endpoint: server.endpoint, hostKey: server.hostKey,
        root: server.folder.path + "/root")
      try await AgentClient(identity: server.identity, binary: binary).ensureAgent(on: node)
      let placed = FileManager.default.contents(atPath: binary.remotePath(below: node.root))
      #expect(placed == Data("the first version".utf8))
      // What `printf 'the first version' | sha256sum` says.
      #expect(binary.sha256 == "235d8c9008082e60bf4e42fa5f1895b9cf6c862776828993270fae13ae777eaa")
    }
  }

  /// What runs services prints them, and all that they hold, by reflection.
  @Test func printsNoBytes() throws {
    let file = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    try Data(repeating: 7, count: 1 << 20).write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    let binary = try AgentBinary(contentsOf: file.path)
    let key = SSHIdentity.file("/nowhere")
    for text in ["\(binary)", "\([binary])", "\(AgentClient(identity: key, binary: binary))"] {
      #expect(text.utf8.count < 4096)
    }
  }
}
