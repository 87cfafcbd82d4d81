import Domain
import Foundation
import ObjectStorage
import Testing
import Wire

@testable import NodeAgent

@Suite struct InventoryTests {
  private let path = "/usr/bin:/bin"

  @Test func findsThePythonOfACommand() {
    #expect(Inventory.python(of: ["/opt/venv/bin/python3.11", "train.py"], path: path) == "/opt/venv/bin/python3.11")
    #expect(Inventory.python(of: ["nice", "python", "train.py"], path: path) == "python")
    #expect(Inventory.python(of: ["pythonic", "x"], path: path) == nil)
    #expect(Inventory.python(of: ["true"], path: path) == nil)
    #expect(Inventory.python(of: [], path: path) == nil)
  }

  @Test func readsTheProcessor() {
    #expect(
      Inventory.processor(of: ["processor\t: 0", "model name\t: AMD EPYC 7763 64-Core Processor"])
        == "AMD EPYC 7763 64-Core Processor")
    #expect(Inventory.processor(of: ["nothing"]) == nil)
  }

  @Test func readsHowGPUsAreLinked() {
    let matrix = """
      \tGPU0\tGPU1\tGPU2\tCPU Affinity
      GPU0\t X \tNV12\tSYS\t0-15
      GPU1\tNV12\t X \tSYS\t0-15
      GPU2\tSYS\tSYS\t X \t16-31
      """
    #expect(Inventory.gpuLinks(of: matrix) == "GPU0-GPU1 NV12, GPU0-GPU2 SYS, GPU1-GPU2 SYS")
    #expect(Inventory.gpuLinks(of: "no such thing") == nil)
  }
}

@Suite(.timeLimit(.minutes(2))) struct CapturedCodeTests {
  private func code(_ f: AgentFixture, folder: String) async throws -> CodeOrder {
    let tar = CodeArchive.pack([
      .init(
        path: "jobs/hello.sh", content: .bytes(Array("#!/bin/sh\npwd\ncat ../data.txt\n".utf8), isExecutable: true)),
      .init(path: "data.txt", content: .bytes(Array("as it was\n".utf8), isExecutable: false)),
    ])
    let sha256 = CodeArchive.sha256(of: tar)
    let key = ObjectLayout.blob(sha256: sha256)
    try await f.store.put(key, from: .bytes(tar))
    return CodeOrder(key: key, sha256: sha256, bytes: ByteCount(Int64(tar.count)), folder: folder)
  }

  @Test func ranksStartInTheJobsFolderOfTheCode() async throws {
    try await AgentFixture.with { f in
      let node = f.node()
      var order = try f.order("")
      order.code = try await code(f, folder: "jobs")
      order.command = ["./hello.sh"]
      let (outcome, follower) = try await f.run(order, on: node)
      #expect(outcome.exits.map(\.code) == [0])
      let log = try f.text("\(node.folder())/logs/rank-0.log")
      #expect(log.hasSuffix("/attempts/7/work/jobs\nas it was\n"), "\(log)")
      let environments = follower.frames.compactMap { frame -> NodeEnvironment? in
        if case .journal(let entry) = frame, case .environment(let found) = entry.event { found } else { nil }
      }
      let found = try #require(environments.first)
      #expect(found.facts["kernel"]?.isEmpty == false)
      #expect(found.facts["cores"] != nil)
    }
  }

  /// What it starts, and not only itself: that is what takes long.
  @Test func whatLooksAroundTakesLessThanTheRanks() async throws {
    try await AgentFixture.with { f in
      let python = f.scratch + "/python3"
      // A stand-in, which is the program as well: only who looks around runs it with -c.
      let script = """
        #!/bin/bash
        [ "$1" = -c ] && name=looking || name=training
        read -r -a all < /proc/self/stat
        echo "${all[18]} $(cut -d ' ' -f 3 /proc/self/autogroup) ${all[5]}" > \(f.scratch)/$name
        exit 0
        """
      try Data(script.utf8).write(to: URL(fileURLWithPath: python))
      chmod(python, 0o755)
      var order = try f.order("")
      order.command = [python, "train.py"]
      let (outcome, _) = try await f.run(order, on: f.node())
      #expect(outcome.exits.map(\.code) == [0])
      let looking = try f.text(f.scratch + "/looking").split { $0.isWhitespace }
      let training = try f.text(f.scratch + "/training").split { $0.isWhitespace }
      let niceness = { (words: [Substring]) in try #require(words.first.flatMap { Int($0) }) }
      #expect(try niceness(looking) > niceness(training))
      #expect(looking.last != training.last, "a session is a group of the kernel's")
      guard f.isThere("/proc/self/autogroup"), geteuid() == 0 else { return }
      #expect(looking.dropFirst().first == "10" && training.dropFirst().first == "0")
    }
  }

  @Test func startsNothingInCodeThatIsNotWhatWasCaptured() async throws {
    try await AgentFixture.with { f in
      let node = f.node()
      var order = try f.order("echo never")
      let code = try await code(f, folder: "jobs")
      order.code = CodeOrder(
        key: code.key, sha256: String(repeating: "0", count: 64), bytes: code.bytes, folder: code.folder)
      try #expect(await node.start(order) == .ok)
      let outcome = try await Follower(node, order.attempt).outcome()
      #expect(outcome.staging == .corrupt(key: code.key))
      order.code = CodeOrder(key: code.key, sha256: code.sha256, bytes: code.bytes, folder: "../..")
      order.attempt = AttemptID(8)
      guard case .refused(let why) = try await node.start(order) else {
        Issue.record("it was not refused")
        return
      }
      #expect(why.contains("leads out"))
    }
  }
}
