import Domain
import Foundation
import Glibc
import ObjectStorage
import TestKit
import Testing
import Wire

@testable import NodeAgent

/// Who brings the same data set to a node at the same moment: one reads the store, the other waits for it.
@Suite(.timeLimit(.minutes(2)))
struct StagingTogetherTests {
  private static let pieces = 4
  private static let bytes = (0..<pieces).flatMap {
    [UInt8](repeating: UInt8($0), count: TransferPlan.pieceSize)
  }

  /// Two processes stage on one node; the first was stopped in the middle when the second began to wait.
  private func together(
    _ body: (_ first: StageProcess, _ second: StageProcess, _ dataset: DatasetOrder) async throws -> Void
  ) async throws {
    try await AgentFixture.with { fixture in
      let node = fixture.node()
      let dataset = try await fixture.dataset("d", Self.bytes)
      var order = StageOrder(
        controllerEpoch: 1, datasets: [dataset], store: .folder(path: fixture.store.root), reserve: .zero, pinned: [],
        nodeRank: 0, nodeAddresses: ["127.0.0.1"], exchange: nil)
      let replicas = Replicas(node: try NodeFolder(making: node.root))
      // The first brings half of it, and then waits some seconds for word of a peer that there is not.
      order.exchange = ExchangeOrder(key: String(repeating: "77", count: 32))
      order.nodeAddresses = ["127.0.0.1", "127.0.0.2"]
      let first = try StageProcess(order, on: node)
      (order.exchange, order.nodeAddresses) = (nil, ["127.0.0.1"])
      let map = replicas.map(dataset.contentID)
      // Its first record says that a piece is there.
      try await FileChanges.until(in: [(map as NSString).deletingLastPathComponent]) {
        !first.isRunning || (Disk.status(map)?.size ?? 0) >= 100
      }
      first.send(SIGSTOP)
      try #require(Disk.status(replicas.path(dataset.contentID)) == nil, "it was done before it could be stopped")
      let second = try StageProcess(order, on: node)
      // It tells what the first has brought.
      try await second.frame {
        if case .event(.staging(let done, let total, _, _)) = $0 { done > .zero && done < total } else { false }
      }
      try await body(first, second, dataset)
      let file = replicas.path(dataset.contentID) + "/f"
      #expect(try ContentHash.of(file: file).sha256 == ContentHash.of(Self.bytes))
    }
  }

  @Test func whoComesSecondReadsNothing() async throws {
    try await together { first, second, dataset in
      first.send(SIGCONT)
      for (process, brought) in [(first, dataset.total), (second, .zero)] {
        guard case .staged(dataset.total, _, brought?) = try await process.end() else {
          Issue.record("\(process.frames)")
          return
        }
      }
    }
  }

  @Test func whoComesSecondGoesOnWhereTheFirstWasKilled() async throws {
    try await together { first, second, dataset in
      first.send(SIGKILL)
      guard case .staged(dataset.total, _, let brought?) = try await second.end() else {
        Issue.record("\(second.frames)")
        return
      }
      #expect(brought > .zero && brought < dataset.total)
    }
  }

  @Test func whoWaitsHearsThatItIsNotWantedAnyMore() async throws {
    try await StagingFixture.with { fixture in
      let node = try fixture.node()
      let dataset = try await fixture.dataset("d", ["a": [1, 2, 3]])
      let held = try await LockHolder.hold(Replicas(node: node).lock(dataset.contentID))
      let (events, continuation) = AsyncStream.makeStream(of: AgentEvent.self)
      let stager = Stager(
        wishes: .init(datasets: [dataset], reserve: .zero), node: node, store: fixture.store
      ) { continuation.yield($0) }
      let task = Task { try await stager.run() }
      for await event in events {
        if case .staging(.zero, dataset.total, _, _) = event { break }
      }
      task.cancel()
      await #expect(throws: (any Error).self) { try await task.value }
      held.release()
      #expect(fixture.store.bytesRead == 0)
    }
  }

  @Test(arguments: [StopCause.cancelled, .leaseEnd])
  func anAttemptThatWaitsEndsAllTheSame(cause: StopCause) async throws {
    try await AgentFixture.with { fixture in
      let node = fixture.node()
      var order = try fixture.order("exit 0", lease: cause == .leaseEnd ? 6 : 60)
      order.datasets = [try await fixture.dataset("d", ["a": "one"])]
      let replicas = Replicas(node: try NodeFolder(making: node.root))
      let held = try await LockHolder.hold(replicas.lock(order.datasets[0].contentID))
      try #expect(await node.start(order) == .ok)
      let follower = try Follower(node, order.attempt)
      try await follower.event { if case .staging = $0 { true } else { false } }
      if cause == .cancelled { try #expect(await node.control(order.attempt, .stop(.cancelled)) == .ok) }
      #expect(try await follower.outcome().stopped == cause)
      held.release()
    }
  }

  @Test func aGlanceLeavesAMapAsItIsWhileAnotherWritesIt() async throws {
    try await StagingFixture.with { fixture in
      let path = fixture.scratch + "/map"
      let map = PieceMap(path: path, planID: "p")
      try map.begin()
      try map.append([.finished(piece: 3)])
      let file = try Disk.open(path, O_WRONLY | O_APPEND)
      try Disk.write([1, 2, 3], to: file, path: path)
      let size = Disk.status(path)?.size
      #expect(try map.glance()?.pieces == [3] && Disk.status(path)?.size == size)
      #expect(try map.read()?.pieces == [3])
      #expect(Disk.status(path)?.size == size.map { $0 - 3 })
    }
  }
}

/// A running `stage`, and what it has said.
final class StageProcess {
  private let process = Process()
  private var lines: AsyncStream<Data>.Iterator
  private(set) var frames: [StageFrame] = []

  init(_ order: StageOrder, on node: TestNode) throws {
    process.executableURL = URL(fileURLWithPath: try AgentProcess.program())
    process.arguments = ["stage", "--root", node.root]
    let (input, output) = (Pipe(), Pipe())
    process.standardInput = input
    process.standardOutput = output
    try process.run()
    lines = Lines.read(output.fileHandleForReading).makeAsyncIterator()
    input.fileHandleForWriting.write(try JSONEncoder().encode(order))
    try input.fileHandleForWriting.close()
  }

  deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }

  var isRunning: Bool { process.isRunning }

  func send(_ signal: Int32) { kill(process.processIdentifier, signal) }

  /// Waits for a frame, from those that were not looked at yet.
  @discardableResult
  func frame(_ wanted: (StageFrame) -> Bool) async throws -> StageFrame {
    while let line = await lines.next(isolation: #isolation) {
      let frame = try JSONDecoder().decode(StageFrame.self, from: line)
      frames.append(frame)
      if wanted(frame) { return frame }
    }
    throw StageEnded(frames: frames)
  }

  /// Waits for its last word.
  func end() async throws -> StageFrame {
    try await frame {
      switch $0 {
      case .staged, .failed, .refused: true
      case .event, .alive: false
      }
    }
  }
}

/// `stage` ended before it said what was waited for.
struct StageEnded: Error {
  var frames: [StageFrame]
}
