import Domain
import Foundation
import Testing
import Wire

/// Environments that are made before the ranks start; without packages, so that nothing is fetched.
@Suite(.timeLimit(.minutes(2)))
struct SetupTests {
  private func order(_ fixture: AgentFixture, _ commands: [[String]], attempt: Int64 = 7) throws -> AttemptOrder {
    let script = "echo \"$VIRTUAL_ENV $(command -v python3) $(command -v made)\"; exit 0"
    var order = try fixture.order(script, attempt: attempt)
    order.setup = SetupSpec(commands: commands)
    return order
  }

  /// Makes the program `made` in the environment, and counts how often.
  private func making(_ fixture: AgentFixture) -> [[String]] {
    [
      ["bash", "-c", "echo once >> \(fixture.scratch)/count"],
      ["cp", "/bin/true", "$VIRTUAL_ENV/bin/made"],
    ]
  }

  @Test func areMadeOnceOnANodeAndFoundFirst() async throws {
    try await AgentFixture.with { fixture in
      let node = fixture.node()
      for attempt in [7, 8] as [Int64] {
        let order = try order(fixture, making(fixture), attempt: attempt)
        let (outcome, _) = try await fixture.run(order, on: node)
        #expect(outcome.exits.map(\.code) == [0], "\(outcome)")
        let words = try fixture.text(node.folder(order.attempt) + "/logs/rank-0.log").split { $0.isWhitespace }
        #expect(words.count == 3 && words[0].hasPrefix(node.root + "/environments/"), "\(words)")
        #expect(words.dropFirst().map(String.init) == ["\(words[0])/bin/python3", "\(words[0])/bin/made"])
      }
      #expect(try fixture.text(fixture.scratch + "/count") == "once\n")
    }
  }

  @Test func whatCouldNotBeMadeIsMadeAnew() async throws {
    try await AgentFixture.with { fixture in
      let node = fixture.node()
      let flag = fixture.scratch + "/works"
      let commands = [["bash", "-c", "[ -e \(flag) ] || { echo 'no such package'; exit 4; }"]] + making(fixture)
      try #expect(await node.start(try order(fixture, commands)) == .ok)
      let failed = try await Follower(node, AttemptID(7)).outcome()
      guard case .setup(let why)? = failed.staging else { return #expect(Bool(false), "\(failed)") }
      #expect(why.hasPrefix("bash -c [ -e") && why.hasSuffix(" ended with exit code 4: no such package"), "\(why)")
      #expect(failed.exits.isEmpty)
      try Data().write(to: URL(fileURLWithPath: flag))
      let (outcome, _) = try await fixture.run(try order(fixture, commands, attempt: 8), on: node)
      #expect(outcome.exits.map(\.code) == [0], "\(outcome)")
    }
  }

  @Test func nothingOfItGoesOnWhenTheJobIsToLeave() async throws {
    try await AgentFixture.with { fixture in
      let node = fixture.node()
      let pipe = fixture.scratch + "/pipe"
      mkfifo(pipe, 0o600)
      let order = try order(fixture, [["bash", "-c", "echo here > \(pipe); exec cat \(pipe)"]])
      try #expect(await node.start(order) == .ok)
      let reader = try #require(FileHandle(forReadingAtPath: pipe))
      #expect(try reader.read(upToCount: 5) == Data("here\n".utf8))
      try #expect(await node.control(order.attempt, .stop(.cancelled)) == .ok)
      let outcome = try await Follower(node, order.attempt).outcome()
      #expect(outcome.stopped == .cancelled && outcome.exits.isEmpty && outcome.staging == nil)
    }
  }
}
