public import Domain
import Foundation
import SSH
import Synchronization
public import Wire

/// What came of staging on one node.
public enum StagingResult: Hashable, Sendable {
  /// All is in place; `brought` of it was not there before, nil where nodes that held it gave some, or the agent did not
  /// tell.
  case staged(bytes: ByteCount, took: TimeSpan, brought: ByteCount? = nil)
  /// Not all could be brought; what came is kept on the node for the next try.
  case failed(StagingFailure)
}

extension AgentClient {
  /// Removing millions of files takes its time.
  private static let evictionTimeout = Duration.seconds(1800)

  /// Brings data sets to a node, ahead of any attempt, and says how far it is.
  ///
  /// Staging ends when the caller is cancelled or its connection is lost; what came by then is not brought again. The
  /// order may be given as often as one likes: where all is in place it is over at once.
  /// - Parameters:
  ///   - notices: where the other nodes serve, as it becomes known; nil where the order has no exchange.
  ///   - receive: hears `staging` at most about once a second, `serving`, `peerDistrusted` and `evicted`.
  /// - Throws: `AgentError.refused` when the agent will not begin, `SSHError`, and what `receive` throws. What could not
  ///   be brought is a result, and not thrown.
  public func stage(
    _ order: StageOrder, on node: NodeTarget, notices: AsyncStream<PeerNotice>? = nil,
    receive: (AgentEvent) async throws -> Void
  ) async throws -> StagingResult {
    let words = ["stage"]
    let process = try await begin(node, words, stdin: try Self.line(order), keepsInput: notices != nil)
    let telling = notices.map { notices in
      // A node that cannot be told brings all from the store.
      Task {
        for await notice in notices { try await process.write(try Self.line(notice)) }
      }
    }
    defer { telling?.cancel() }
    var lines = LineSplitter(limit: Self.frameLimit)
    for try await chunk in process.stdout {
      for line in lines.add(chunk) {
        let frame: StageFrame = try decode(line, from: node)
        switch frame {
        case .event(let event): try await receive(event)
        case .alive: break
        case .staged(let bytes, let took, let brought):
          return .staged(bytes: bytes, took: took, brought: brought)
        case .failed(let failure): return .failed(failure)
        case .refused(let why): throw AgentError(.refused, node: node.name, detail: why)
        }
      }
    }
    try await end(of: process, node, words)
    throw AgentError(.garbled, node: node.name, detail: "'stage' ended without a result")
  }

  /// Stages on all nodes of a gang at once, so that each brings its share from the store and gets the rest from the others.
  ///
  /// `orders` are in rank order, one for each of `nodes`. A node that cannot be asked does not hold up the others: its
  /// share then comes from the store.
  /// - Returns: one result for each node; an error is what `stage` throws for it.
  public func stage(
    _ orders: [StageOrder], on nodes: [NodeTarget], receive: @escaping @Sendable (Int, AgentEvent) async -> Void
  ) async -> [Result<StagingResult, any Error>] {
    let gang = StagingGang(count: nodes.count)
    return await withTaskGroup(of: (Int, Result<StagingResult, any Error>).self) { group in
      for (rank, node) in nodes.enumerated() {
        group.addTask {
          let result: Result<StagingResult, any Error>
          do {
            result = .success(
              try await self.stage(orders[rank], on: node, notices: gang.notices(for: rank)) { event in
                if case .serving(let port) = event { gang.heard(port, from: rank) }
                await receive(rank, event)
              })
          } catch {
            result = .failure(error)
          }
          gang.heard(nil, from: rank)
          return (rank, result)
        }
      }
      var results = [Result<StagingResult, any Error>](repeating: .failure(CancellationError()), count: nodes.count)
      for await (rank, result) in group { results[rank] = result }
      return results
    }
  }

  /// Has a node hand its replicas to others that stage them.
  ///
  /// Returns when the node has ended it: nobody asked for long, or the replicas are gone. It ends, too, when the caller
  /// is cancelled or its connection is lost.
  /// - Parameter begun: hears once where the node serves what.
  /// - Throws: `AgentError.refused` where the node has no replica of any of it, `SSHError`.
  public func serve(
    _ order: ServeOrder, on node: NodeTarget, begun: (_ port: Int, _ contentIDs: [String]) -> Void
  ) async throws {
    let words = ["serve"]
    let process = try await begin(node, words, stdin: try Self.line(order), keepsInput: true)
    var lines = LineSplitter(limit: Self.frameLimit)
    for try await chunk in process.stdout {
      for line in lines.add(chunk) {
        let frame: ServeFrame = try decode(line, from: node)
        switch frame {
        case .serving(let port, let contentIDs): begun(port, contentIDs)
        case .alive: break
        case .refused(let why): throw AgentError(.refused, node: node.name, detail: why)
        }
      }
    }
    try await end(of: process, node, words)
  }

  /// Removes replicas of `contentIDs` (nil for all) that no attempt uses and nobody is staging; partial ones too.
  ///
  /// Throws `SSHError` and `AgentError`.
  public func evict(_ contentIDs: [String]?, on node: NodeTarget) async throws -> EvictionReport {
    try await ask(
      node, ["evict"], stdin: try Self.line(ReplicaSelection(contentIDs: contentIDs)), timeout: Self.evictionTimeout)
  }

  /// Has the node read all of its replicas of `contentIDs` (nil for all), and mark those that are damaged.
  ///
  /// Takes as long as reading them does, with no limit; the node finishes also where the caller is cancelled. Throws
  /// `SSHError` and `AgentError`.
  public func verify(_ contentIDs: [String]?, on node: NodeTarget) async throws -> VerificationReport {
    try await ask(node, ["verify"], stdin: try Self.line(ReplicaSelection(contentIDs: contentIDs)), timeout: nil)
  }

  private static func line(_ message: some Encodable) throws -> [UInt8] {
    Array(try JSONEncoder().encode(message)) + [UInt8(ascii: "\n")]
  }
}

/// Tells the nodes that stage together where all of them serve.
private final class StagingGang: Sendable {
  private let board: Mutex<PortBoard>
  private let streams: [(stream: AsyncStream<PeerNotice>, continuation: AsyncStream<PeerNotice>.Continuation)]

  init(count: Int) {
    board = Mutex(PortBoard(count: count))
    streams = (0..<count).map { _ in AsyncStream.makeStream(of: PeerNotice.self) }
  }

  func notices(for rank: Int) -> AsyncStream<PeerNotice> { streams[rank].stream }

  func heard(_ port: Int?, from rank: Int) {
    guard let notice = board.withLock({ $0.heard(port, from: rank) }) else { return }
    for stream in streams { stream.continuation.yield(notice) }
  }
}

/// Gathers on which ports the nodes of a gang serve, until each has said so or is done without.
struct PortBoard {
  private var ports: [Int: Int?] = [:]
  private let count: Int

  init(count: Int) { self.count = count }

  /// Node `rank` serves on `port`, or, nil, has nothing more to say; what to tell all, once, when all are known.
  mutating func heard(_ port: Int?, from rank: Int) -> PeerNotice? {
    guard ports[rank] == nil else { return nil }
    ports[rank] = .some(port)
    guard ports.count == count else { return nil }
    return PeerNotice(ports: (0..<count).map { ports[$0] ?? nil })
  }
}
