import Domain
import Foundation
import Glibc
import ObjectStorage
import Testing
import Wire

@testable import NodeAgent

/// `baton-agent stage` as a program.
@Suite(.timeLimit(.minutes(2)))
struct StageVerbTests {
  private func order(_ fixture: AgentFixture, _ datasets: [DatasetOrder], epoch: Int64 = 1) -> StageOrder {
    StageOrder(
      controllerEpoch: epoch, datasets: datasets, store: .folder(path: fixture.store.root), reserve: .zero, pinned: [],
      nodeRank: 0, nodeAddresses: ["127.0.0.1"], exchange: nil)
  }

  private func frames(_ data: Data) throws -> [StageFrame] {
    try data.split(separator: UInt8(ascii: "\n")).map { try JSONDecoder().decode(StageFrame.self, from: $0) }
  }

  @Test func stagesAheadOfAnyAttempt() async throws {
    try await AgentFixture.with { fixture in
      let node = fixture.node()
      let dataset = try await fixture.dataset("d", ["a": "one", "b": "two"])
      let input = try JSONEncoder().encode(order(fixture, [dataset]))
      let result = try await AgentProcess.run(["stage", "--root", node.root], input: input)
      #expect(result.code == 0)
      guard case .staged(let bytes, _, let brought)? = try frames(result.output).last else {
        Issue.record("\(String(decoding: result.output, as: UTF8.self))")
        return
      }
      #expect(bytes == dataset.total && brought == dataset.total)
      let again = try await AgentProcess.run(["stage", "--root", node.root], input: input)
      guard case .staged(bytes, _, .zero?)? = try frames(again.output).last else {
        Issue.record("\(String(decoding: again.output, as: UTF8.self))")
        return
      }
      let report = try await node.probe()
      #expect(report.replicas == [dataset.contentID])
      #expect(report.holdings?.first?.bytes == dataset.total)
    }
  }

  @Test func refusesAnOlderController() async throws {
    try await AgentFixture.with { fixture in
      let node = fixture.node()
      let dataset = try await fixture.dataset("d", ["a": "one"])
      let new = try JSONEncoder().encode(order(fixture, [dataset], epoch: 5))
      #expect(try await AgentProcess.run(["stage", "--root", node.root], input: new).code == 0)
      let old = try JSONEncoder().encode(order(fixture, [dataset], epoch: 4))
      let result = try await AgentProcess.run(["stage", "--root", node.root], input: old)
      #expect(result.code == 1)
      guard case .refused? = try frames(result.output).last else {
        Issue.record("\(String(decoding: result.output, as: UTF8.self))")
        return
      }
    }
  }

  @Test func failsByTheNameOfWhatIsMissing() async throws {
    try await AgentFixture.with { fixture in
      let dataset = try await fixture.dataset("d", ["a": "one"])
      let key = try #require(try await fixture.store.list(prefix: "blobs/", after: nil, limit: 1).entries.first?.key)
      try await fixture.store.delete(key)
      let input = try JSONEncoder().encode(order(fixture, [dataset]))
      let result = try await AgentProcess.run(["stage", "--root", fixture.node().root], input: input)
      #expect(result.code == 1)
      #expect(try frames(result.output).last == .failed(.missing(key: key)))
    }
  }

  @Test func agentsOfAGangExchangeWhatTheyStage() async throws {
    try await AgentFixture.with { fixture in
      let bytes = (0..<4).flatMap { [UInt8](repeating: UInt8($0), count: TransferPlan.pieceSize) }
      let dataset = try await fixture.dataset("d", bytes)
      var order = try fixture.order("exit 0")
      order.datasets = [dataset]
      order.nodeAddresses = ["127.0.0.1", "127.0.0.2"]
      order.exchange = ExchangeOrder(key: String(repeating: "77", count: 32))
      var followers: [Follower] = []
      var ports: [Int?] = []
      for rank in 0...1 {
        order.nodeRank = rank
        let node = fixture.node("node-\(rank)")
        #expect(try await node.start(order) == .ok)
        let follower = try Follower(node, order.attempt)
        guard case .serving(let port) = try await follower.event({ if case .serving = $0 { true } else { false } })
        else { return }
        ports.append(port)
        followers.append(follower)
      }
      for rank in 0...1 {
        #expect(try await fixture.node("node-\(rank)").control(order.attempt, .peers(ports: ports)) == .ok)
      }
      for (rank, follower) in followers.enumerated() {
        try await follower.event { if case .staged = $0 { true } else { false } }
        let replica = "\(fixture.node("node-\(rank)").root)/datasets/\(dataset.contentID)/f"
        #expect(try ContentHash.of(file: replica).sha256 == ContentHash.of(bytes))
        // Nothing that was written down shows the key.
        let journal = try fixture.text(fixture.node("node-\(rank)").folder() + "/journal.jsonl")
        #expect(!journal.contains("7777"))
      }
    }
  }

  /// What its map says after SIGKILL is overwritten with nonsense in the store: the next one does not look at it.
  @Test func goesOnAfterItWasKilled() async throws {
    try await AgentFixture.with { fixture in
      let node = fixture.node()
      let pieces = 12
      let size = TransferPlan.pieceSize
      let bytes = (0..<pieces).flatMap { [UInt8](repeating: UInt8($0), count: size) }
      let dataset = try await fixture.dataset("d", bytes)
      let process = Process()
      process.executableURL = URL(fileURLWithPath: try AgentProcess.program())
      process.arguments = ["stage", "--root", node.root]
      let input = Pipe()
      let output = Pipe()
      process.standardInput = input
      process.standardOutput = output
      try process.run()
      input.fileHandleForWriting.write(try JSONEncoder().encode(order(fixture, [dataset])))
      try input.fileHandleForWriting.close()
      let folder = try NodeFolder(making: node.root)
      let path = Replicas(node: folder).map(dataset.contentID)
      while process.isRunning, (Disk.status(path)?.size ?? 0) < 180 { await Task.yield() }
      kill(process.processIdentifier, SIGKILL)
      process.waitUntilExit()

      let key = ObjectLayout.blob(sha256: ContentHash.of(bytes))
      let file = TransferFile(path: "f", size: Int64(bytes.count), checksum: .sha256(ContentHash.of(bytes)), key: key)
      let finished = try PieceMap(path: path, planID: TransferPlan([file]).id).read()?.pieces ?? []
      var spoilt = bytes
      for piece in finished {
        spoilt.replaceSubrange(piece * size..<(piece + 1) * size, with: [UInt8](repeating: 0xEE, count: size))
      }
      try await fixture.store.put(key, from: .bytes(spoilt))
      let again = try JSONEncoder().encode(order(fixture, [dataset]))
      let result = try await AgentProcess.run(["stage", "--root", node.root], input: again)
      #expect(result.code == 0, "\(finished.count) of \(pieces) pieces were there")
      #expect(try ContentHash.of(file: folder.replica(dataset.contentID) + "/f").sha256 == ContentHash.of(bytes))
    }
  }
}

extension AgentFixture {
  /// A data set of one file, `f`.
  func dataset(_ name: String, _ bytes: [UInt8]) async throws -> DatasetOrder {
    let hash = ContentHash.of(bytes)
    try await store.put(ObjectLayout.blob(sha256: hash), from: .bytes(bytes))
    let manifest = try #require(Manifest([ManifestEntry(path: "f", size: Int64(bytes.count), sha256: hash)]))
    let id = ContentHash.of(Array(manifest.canonicalText.utf8))
    let key = ObjectLayout.datasetManifest(contentID: id)
    try await store.put(key, from: .bytes(Array(try JSONEncoder().encode(manifest))))
    return DatasetOrder(id: DatasetVersionID(1), name: name, contentID: id, manifestKey: key, total: manifest.total)
  }
}
