import Domain
import Foundation
import ObjectStorage
import Testing
import Wire

@testable import NodeAgent

/// `baton-agent serve` as a program.
@Suite(.timeLimit(.minutes(2)))
struct ServeVerbTests {
  private static let exchange = ExchangeOrder(key: String(repeating: "66", count: 32))

  /// A running `serve`.
  private final class Serving {
    private let process = Process()
    private let (input, output) = (Pipe(), Pipe())

    init(_ node: TestNode, _ order: ServeOrder) throws {
      process.executableURL = URL(fileURLWithPath: try AgentProcess.program())
      process.arguments = ["serve", "--root", node.root]
      process.standardInput = input
      process.standardOutput = output
      try process.run()
      input.fileHandleForWriting.write(try JSONEncoder().encode(order) + Data([10]))
    }

    deinit { if process.isRunning { process.terminate() } }

    /// The next thing that it says; nil at its end.
    private var rest = Data()
    func next() throws -> ServeFrame? {
      while true {
        if let end = rest.firstIndex(of: 10) {
          let line = Data(rest[rest.startIndex..<end])
          rest = Data(rest[(end + 1)...])
          return try JSONDecoder().decode(ServeFrame.self, from: line)
        }
        let piece = output.fileHandleForReading.availableData
        if piece.isEmpty { return nil }
        rest.append(piece)
      }
    }

    /// Where it serves what.
    func holder() throws -> HoldersOrder.Holder {
      guard case .serving(let port, let contentIDs)? = try next() else { throw FollowEnded(frames: []) }
      return .init(address: "127.0.0.1", port: port, contentIDs: contentIDs)
    }

    func closeInput() throws { try input.fileHandleForWriting.close() }

    /// Reads to its end; the exit code.
    func end() throws -> Int32 {
      while try next() != nil {}
      process.waitUntilExit()
      return process.terminationStatus
    }
  }

  private func order(_ fixture: AgentFixture, _ datasets: [DatasetOrder], epoch: Int64 = 1) -> ServeOrder {
    ServeOrder(
      controllerEpoch: epoch, datasets: datasets, store: .folder(path: fixture.store.root), address: "127.0.0.1",
      exchange: Self.exchange)
  }

  private func stage(
    _ fixture: AgentFixture, _ dataset: DatasetOrder, on node: TestNode, from holders: [HoldersOrder.Holder] = []
  ) async throws -> StageFrame? {
    let order = StageOrder(
      controllerEpoch: 1, datasets: [dataset], store: .folder(path: fixture.store.root), reserve: .zero, pinned: [],
      nodeRank: 0, nodeAddresses: ["127.0.0.1"], exchange: Self.exchange,
      holders: holders.isEmpty ? nil : HoldersOrder(holders: holders, least: .zero))
    let result = try await AgentProcess.run(["stage", "--root", node.root], input: try JSONEncoder().encode(order))
    let frames = try result.output.split(separator: UInt8(ascii: "\n")).map {
      try JSONDecoder().decode(StageFrame.self, from: $0)
    }
    return frames.last
  }

  /// Two and a half pieces, and two small files; on `holder` already, and of no use in the store any more.
  private func held(_ fixture: AgentFixture, on holder: TestNode) async throws -> DatasetOrder {
    let large = String(repeating: "0123456789abcdef", count: TransferPlan.pieceSize * 5 / 32)
    let dataset = try await fixture.dataset("d", ["large": large, "small": "one", "smaller": "1"])
    guard case .staged? = try await stage(fixture, dataset, on: holder) else {
      Issue.record("it is not staged")
      return dataset
    }
    for entry in try await fixture.store.list(prefix: "blobs/", after: nil, limit: 10).entries {
      try await fixture.store.delete(entry.key)
    }
    return dataset
  }

  @Test func handsOutWhatIsNotInTheStoreAnyMoreAndEndsWithItsInput() async throws {
    try await AgentFixture.with { fixture in
      let (holder, node) = (fixture.node("holder"), fixture.node("node"))
      let dataset = try await held(fixture, on: holder)
      let serving = try Serving(holder, order(fixture, [dataset]))
      let place = try serving.holder()
      #expect(place.contentIDs == [dataset.contentID])
      guard case .staged(let bytes, _, let brought)? = try await stage(fixture, dataset, on: node, from: [place])
      else {
        Issue.record("it is not staged")
        return
      }
      #expect(bytes == dataset.total && brought == nil)
      for file in ["large", "small", "smaller"] {
        let path = "/datasets/\(dataset.contentID)/\(file)"
        #expect(try fixture.text(node.root + path) == fixture.text(holder.root + path))
      }
      try serving.closeInput()
      #expect(try serving.end() == 0)
    }
  }

  @Test func anAttemptGetsItFromThereToo() async throws {
    try await AgentFixture.with { fixture in
      let (holder, node) = (fixture.node("holder"), fixture.node("node"))
      let dataset = try await held(fixture, on: holder)
      let serving = try Serving(holder, order(fixture, [dataset]))
      var order = try fixture.order("exit 0")
      order.datasets = [dataset]
      order.exchange = Self.exchange
      order.holders = HoldersOrder(holders: [try serving.holder()], least: .zero)
      let (outcome, follower) = try await fixture.run(order, on: node)
      #expect(outcome.exits.map(\.code) == [0])
      // A node that is alone serves nobody.
      #expect(!follower.events.contains { if case .serving = $0 { true } else { false } })
      #expect(follower.events.contains { if case .staged(_, dataset.total, _, nil, _) = $0 { true } else { false } })
    }
  }

  @Test func endsWhenWhatItServesIsEvicted() async throws {
    try await AgentFixture.with { fixture in
      let holder = fixture.node("holder")
      let dataset = try await held(fixture, on: holder)
      let serving = try Serving(holder, order(fixture, [dataset]))
      _ = try serving.holder()
      let selection = try JSONEncoder().encode(ReplicaSelection(contentIDs: [dataset.contentID]))
      let result = try await AgentProcess.run(["evict", "--root", holder.root], input: selection)
      let report = try JSONDecoder().decode(EvictionReport.self, from: result.output)
      #expect(report.removed.map(\.contentID) == [dataset.contentID] && report.inUse.isEmpty)
      #expect(try serving.end() == 0)
    }
  }

  @Test func refusesWhatItHasNoCopyOfAndAnOlderController() async throws {
    try await AgentFixture.with { fixture in
      let holder = fixture.node("holder")
      let dataset = try await held(fixture, on: holder)
      let other = try await fixture.dataset("e", ["other": "two"])
      var share = dataset
      share.mode = .shard
      for wanted in [[], [other], [share]] {
        let serving = try Serving(holder, order(fixture, wanted, epoch: 2))
        #expect(try serving.next() == .refused("there is no copy here of what is wanted"))
        #expect(try serving.end() == 1)
      }
      // What it has of several is what it serves.
      let some = try Serving(holder, order(fixture, [other, dataset], epoch: 2))
      #expect(try some.holder().contentIDs == [dataset.contentID])
      let old = try Serving(holder, order(fixture, [dataset]))
      guard case .refused? = try old.next() else {
        Issue.record("an older controller is obeyed")
        return
      }
    }
  }
}
