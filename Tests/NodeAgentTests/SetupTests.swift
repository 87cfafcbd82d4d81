import Domain
import Foundation
import ObjectStorage
import Testing
import Wire

@testable import NodeAgent

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

  // MARK: With the code

  private func code(_ fixture: AgentFixture, _ word: String, folder: String = "job") async throws -> CodeOrder {
    let make = "#!/bin/bash\necho once >> \(fixture.scratch)/count\nmkdir -p built\ncat ../word > built/copy\n"
    let tar = CodeArchive.pack([
      .init(path: "job/make.sh", content: .bytes(Array(make.utf8), isExecutable: true)),
      .init(path: "job/own.py", content: .bytes(Array("word = '\(word)'\n".utf8), isExecutable: false)),
      .init(path: "word", content: .bytes(Array("\(word)\n".utf8), isExecutable: false)),
    ])
    let sha256 = CodeArchive.sha256(of: tar)
    let key = ObjectLayout.blob(sha256: sha256)
    try await fixture.store.put(key, from: .bytes(tar))
    return CodeOrder(key: key, sha256: sha256, bytes: ByteCount(Int64(tar.count)), folder: folder)
  }

  /// Another version of the code has another environment, and what the commands made of the code is there for the ranks.
  @Test func commandsRunInTheCodeOnceForEachVersionOfIt() async throws {
    try await AgentFixture.with { fixture in
      let node = fixture.node()
      for (attempt, word) in [(7, "one"), (8, "one"), (9, "two")] as [(Int64, String)] {
        var order = try fixture.order("cat built/copy", attempt: attempt)
        order.setup = SetupSpec(commands: [["./make.sh"]])
        order.code = try await code(fixture, word)
        let (outcome, _) = try await fixture.run(order, on: node)
        #expect(outcome.exits.map(\.code) == [0], "\(outcome)")
        #expect(try fixture.text(node.folder(order.attempt) + "/logs/rank-0.log") == word + "\n")
        #expect(!fixture.isThere(node.folder(order.attempt) + "/code.tar"))
      }
      #expect(try fixture.text(fixture.scratch + "/count") == "once\nonce\n")
      let found = try #require(try await node.probe().environments)
      #expect(found.count == 2 && found.allSatisfy { !$0.isInUse && $0.bytes > .zero }, "\(found)")
    }
  }

  /// While data come that may need its room; its commands would run only after that.
  @Test func whatIsThereAlreadyIsInUseBeforeAnythingIsStaged() async throws {
    try await AgentFixture.with { fixture in
      let node = fixture.node()
      var order = try fixture.order("cat built/copy")
      order.setup = SetupSpec(commands: [["./make.sh"]])
      order.code = try await code(fixture, "one")
      _ = try await fixture.run(order, on: node)
      let folder = try NodeFolder(making: node.root)
      let made = try #require(try Environments(node: folder).all().first)
      #expect(!made.isInUse)
      var next = try fixture.order("cat built/copy", attempt: 8)
      (next.setup, next.code) = (order.setup, order.code)
      next.datasets = [try await fixture.dataset("d", ["a": "one"])]
      let held = try await LockHolder.hold(Replicas(node: folder).lock(next.datasets[0].contentID))
      try #expect(await node.start(next) == .ok)
      let follower = try Follower(node, next.attempt)
      try await follower.event { if case .staging = $0 { true } else { false } }
      #expect(try Environments(node: folder).all().map(\.isInUse) == [true])
      #expect(try !Environments(node: folder).remove(made.key))
      held.release()
      try await follower.event { if case .staged = $0 { true } else { false } }
      try #expect(await node.control(next.attempt, .launch(masterPort: 29_500)) == .ok)
      #expect(try await follower.outcome().exits.map(\.code) == [0])
      #expect(try fixture.text(fixture.scratch + "/count") == "once\n")
    }
  }

  /// What is installed in place is found by an attempt whose own folder is another one.
  @Test func whatIsInstalledInPlaceStays() async throws {
    try await AgentFixture.with { fixture in
      let node = fixture.node()
      for attempt in [7, 8] as [Int64] {
        var order = try fixture.order("cd /; exec python3 -c 'import own; print(own.word)'", attempt: attempt)
        // What `pip install -e .` leaves, which itself needs packages.
        let install = "import os, site; open(site.getsitepackages()[0] + '/own.pth', 'w').write(os.getcwd())"
        order.setup = SetupSpec(commands: [["python3", "-c", install]])
        order.code = try await code(fixture, "one")
        let (outcome, _) = try await fixture.run(order, on: node)
        #expect(outcome.exits.map(\.code) == [0], "\(outcome)")
        #expect(try fixture.text(node.folder(order.attempt) + "/logs/rank-0.log") == "one\n")
        try #expect(await node.purge(order.attempt) == .ok)
      }
    }
  }

  /// Though the folder was made anew after it came.
  @Test func whatIsResumedFromIsPutIntoTheCodeOfTheEnvironment() async throws {
    try await AgentFixture.with { fixture in
      let node = fixture.node()
      var order = try fixture.order("mkdir out; echo saved > out/new; mv out/new out/ckpt.pt")
      order.programSaves = try ProgramSaves(path: "out", pattern: "ckpt.pt")
      order.saveSignal = SaveSignal.none
      order.setup = SetupSpec(commands: [["./make.sh"]])
      order.code = try await code(fixture, "one")
      let (outcome, follower) = try await fixture.run(order, on: node)
      #expect(outcome.exits.map(\.code) == [0], "\(outcome)")
      let checkpoint = try #require(follower.stored.last)
      var second = try fixture.order("cat out/ckpt.pt", attempt: 8, number: 2)
      (second.programSaves, second.setup, second.code) = (order.programSaves, order.setup, order.code)
      second.saveSignal = order.saveSignal
      second.resume = ResumeOrder(
        step: checkpoint.step, prefix: checkpoint.prefix, manifestSHA256: checkpoint.manifestSHA256,
        total: checkpoint.bytes)
      let (again, _) = try await fixture.run(second, on: node)
      #expect(again.exits.map(\.code) == [0], "\(again)")
      #expect(try fixture.text(node.folder(second.attempt) + "/logs/rank-0.log") == "saved\n")
    }
  }
}
