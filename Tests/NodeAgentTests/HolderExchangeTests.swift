import Domain
import Foundation
import ObjectStorage
import Synchronization
import TestKit
import Testing
import Wire

@testable import NodeAgent

/// Nodes that stage what others hold already.
@Suite(.timeLimit(.minutes(3)))
struct HolderExchangeTests {
  private static let pieceSize = 8192
  private static let key = String(repeating: "5a", count: 32)

  /// Hands out what is in a folder.
  private final class HolderNode: Sendable {
    /// What its server does not know of itself.
    private final class Life: Sendable {
      let state = Mutex<(asked: Int, server: PeerServer?)>((0, nil))

      /// It is asked for something: the server, where that was once too often.
      func asked(limit: Int) -> PeerServer? {
        state.withLock { state in
          state.asked += 1
          return state.asked == limit ? state.server : nil
        }
      }
    }

    private let server: PeerServer
    private let contentID: String

    /// Hands out `folder`, as a copy of the data set, until it was asked so often.
    init(
      _ folder: String, _ dataset: DatasetOrder, _ plan: TransferPlan, key: String = HolderExchangeTests.key,
      diesWhenAsked limit: Int = .max
    ) throws {
      let shelves = Shelves()
      let life = Life()
      shelves.shelf(for: plan).opens(
        PartialFolder(path: folder, plan: plan), pieces: Array(plan.pieces.indices))
      server = try PeerServer(host: "127.0.0.9", key: try #require(ExchangeKey(hex: key))) { planID in
        life.asked(limit: limit)?.close()
        return shelves.shelf(planID)
      }
      life.state.withLock { [server] in $0.server = server }
      contentID = dataset.contentID
    }

    var holder: HoldersOrder.Holder { .init(address: "127.0.0.9", port: server.port, contentIDs: [contentID]) }

    deinit { server.close() }
  }

  private var limits: TransferState.Limits {
    var limits = TransferState.Limits()
    limits.patience = .minutes(10)
    limits.grace = .minutes(10)
    return limits
  }

  private func plan(_ fixture: StagingFixture, _ dataset: DatasetOrder) async throws -> TransferPlan {
    try await DatasetPlan.read(
      dataset, ReplicaName(dataset, rank: 0, count: 1), StoreReader(store: fixture.store), pieceSize: Self.pieceSize
    ).transfer
  }

  private func stager(
    _ fixture: StagingFixture, _ dataset: DatasetOrder, rank: Int = 0, of count: Int = 1, _ exchange: Exchange? = nil,
    limits: TransferState.Limits? = nil, news: News = News()
  ) throws -> Stager {
    Stager(
      wishes: .init(datasets: [dataset], reserve: .zero, nodeRank: rank, nodeCount: count),
      node: try fixture.node("node-\(rank)"), store: fixture.store, exchange: exchange, limits: limits ?? self.limits,
      pieceSize: Self.pieceSize
    ) { news.add($0) }
  }

  /// A data set that a node holds, and that node; nothing of it was read since.
  private func held(
    _ fixture: StagingFixture, seed: UInt64, large: Int = 6, small: Int = 100, key: String = Self.key,
    diesWhenAsked limit: Int = .max
  ) async throws -> (files: [String: [UInt8]], dataset: DatasetOrder, node: HolderNode) {
    let files = StagingFixture.files(seed: seed, pieceSize: Self.pieceSize, large: large, small: small)
    let dataset = try await fixture.dataset("d", files)
    _ = try await stager(fixture, dataset, rank: 9).run()
    let replica = try fixture.node("node-9").replica(dataset.contentID)
    let node = try HolderNode(replica, dataset, try await plan(fixture, dataset), key: key, diesWhenAsked: limit)
    fixture.store.forget()
    return (files, dataset, node)
  }

  private func exchange(_ holders: [HoldersOrder.Holder]) throws -> Exchange {
    try Exchange(
      ExchangeOrder(key: Self.key), rank: 0, addresses: ["127.0.0.1"],
      holders: HoldersOrder(holders: holders, least: .zero), answerLimit: .seconds(60))
  }

  private func replica(_ fixture: StagingFixture, _ dataset: DatasetOrder, _ rank: Int = 0) throws -> String {
    try fixture.node("node-\(rank)").replica(dataset.contentID)
  }

  @Test func readsNothingFromTheStoreThatAnotherNodeHolds() async throws {
    try await StagingFixture.with { fixture in
      let (files, dataset, node) = try await held(fixture, seed: 31)
      let done = try await stager(fixture, dataset, try exchange([node.holder])).run()
      try fixture.expect(files, in: try replica(fixture, dataset))
      #expect(fixture.store.bytesRead == 0)
      // How fast a holder is says nothing of how fast the store is.
      #expect(done.bytes == dataset.total && done.brought == nil)
    }
  }

  @Test func aGangAsksForEachByteOnceAndPassesItOn() async throws {
    try await StagingFixture.with { fixture in
      let (files, dataset, node) = try await held(fixture, seed: 32)
      let exchanges = try fixture.exchanges(2, holders: HoldersOrder(holders: [node.holder], least: .zero))
      let stagers = try exchanges.map { try stager(fixture, dataset, rank: $0.rank, of: 2, $0) }
      try await withThrowingTaskGroup(of: Void.self) { group in
        for stager in stagers { group.addTask { _ = try await stager.run() } }
        try await group.waitForAll()
      }
      for rank in 0..<2 { try fixture.expect(files, in: try replica(fixture, dataset, rank)) }
      #expect(fixture.store.bytesRead == 0)
    }
  }

  @Test func bringsTheRestFromTheStoreWhenTheHolderDiesInTheMiddle() async throws {
    try await StagingFixture.with { fixture in
      let (files, dataset, node) = try await held(fixture, seed: 33, large: 8, diesWhenAsked: 6)
      _ = try await stager(fixture, dataset, try exchange([node.holder])).run()
      try fixture.expect(files, in: try replica(fixture, dataset))
      #expect((1..<dataset.total.bytes).contains(fixture.store.bytesRead))
    }
  }

  @Test func asksAnotherHolderForWhatOneOwes() async throws {
    try await StagingFixture.with { fixture in
      let (files, dataset, node) = try await held(fixture, seed: 41, large: 8, diesWhenAsked: 6)
      let folder = try replica(fixture, dataset, 9)
      let other = try HolderNode(folder, dataset, try await plan(fixture, dataset))
      _ = try await stager(fixture, dataset, try exchange([node.holder, other.holder])).run()
      try fixture.expect(files, in: try replica(fixture, dataset))
      #expect(fixture.store.bytesRead == 0)
    }
  }

  @Test func bringsAllFromTheStoreWhereTheHolderIsGoneOrHasAnotherKey() async throws {
    try await StagingFixture.with { fixture in
      let (files, dataset, node) = try await held(fixture, seed: 34, key: String(repeating: "a5", count: 32))
      let gone = HoldersOrder.Holder(address: "127.0.0.8", port: 1, contentIDs: [dataset.contentID])
      _ = try await stager(fixture, dataset, try exchange([node.holder, gone])).run()
      try fixture.expect(files, in: try replica(fixture, dataset))
      #expect(fixture.store.bytesRead == dataset.total.bytes)
    }
  }

  @Test func doesWithoutAHolderThatHangs() async throws {
    try await StagingFixture.with { fixture in
      let files = StagingFixture.files(seed: 35, pieceSize: Self.pieceSize)
      let dataset = try await fixture.dataset("d", files)
      let silent = try Listener(host: "127.0.0.9")
      let holder = HoldersOrder.Holder(address: "127.0.0.9", port: silent.port, contentIDs: [dataset.contentID])
      let exchange = try Exchange(
        ExchangeOrder(key: Self.key), rank: 0, addresses: ["127.0.0.1"],
        holders: HoldersOrder(holders: [holder], least: .zero), answerLimit: .seconds(0.05))
      _ = try await stager(fixture, dataset, exchange).run()
      try fixture.expect(files, in: try replica(fixture, dataset))
      #expect(fixture.store.bytesRead == dataset.total.bytes)
      withExtendedLifetime(silent) {}
    }
  }

  /// It serves, and never has anything.
  @Test func doesWithoutAHolderThatIsSlowerThanItHasToBe() async throws {
    try await StagingFixture.with { fixture in
      let files = StagingFixture.files(seed: 36, pieceSize: Self.pieceSize)
      let dataset = try await fixture.dataset("d", files)
      let key = try #require(ExchangeKey(hex: Self.key))
      let slow = Mutex(0)
      let shelf = Shelf()
      let server = try PeerServer(host: "127.0.0.9", key: key) { _ in
        slow.withLock { $0 += 1 }
        return shelf
      }
      defer { server.close() }
      let holder = HoldersOrder.Holder(address: "127.0.0.9", port: server.port, contentIDs: [dataset.contentID])
      let exchange = try Exchange(
        ExchangeOrder(key: Self.key), rank: 0, addresses: ["127.0.0.1"],
        holders: HoldersOrder(holders: [holder], least: .gibibytes(1)))
      var limits = limits
      limits.grace = .zero
      _ = try await stager(fixture, dataset, exchange, limits: limits).run()
      try fixture.expect(files, in: try replica(fixture, dataset))
      #expect(fixture.store.bytesRead == dataset.total.bytes)
      #expect(slow.withLock { $0 } > 0)
    }
  }

  @Test(arguments: [(large: 6, small: 0), (large: 0, small: 200), (large: 4, small: 100)])
  func usesNothingThatAHolderWithRottenDataSends(large: Int, small: Int) async throws {
    try await StagingFixture.with { fixture in
      let (files, dataset, node) = try await held(fixture, seed: 37, large: large, small: small)
      let folder = try fixture.node("node-9").replica(dataset.contentID)
      for path in files.keys where files[path]?.isEmpty == false {
        chmod("\(folder)/\(path)", 0o644)
        let rotten = [UInt8](repeating: 0, count: files[path]?.count ?? 0)
        try Data(rotten).write(to: URL(fileURLWithPath: "\(folder)/\(path)"))
      }
      let news = News()
      _ = try await stager(fixture, dataset, try exchange([node.holder]), news: news).run()
      try fixture.expect(files, in: try replica(fixture, dataset))
      #expect(news.distrusted == [1])
      guard
        case .peerDistrusted(_, "127.0.0.9", _)? = news.events.first(where: {
          if case .peerDistrusted = $0 { true } else { false }
        })
      else {
        Issue.record("\(news.events)")
        return
      }
    }
  }

  /// Who hands on what it was given is not taken for the liar.
  @Test func blamesOnlyTheHolderInAGang() async throws {
    try await StagingFixture.with { fixture in
      let (files, dataset, node) = try await held(fixture, seed: 38, large: 4, small: 0)
      let folder = try fixture.node("node-9").replica(dataset.contentID)
      for path in files.keys where path.hasPrefix("large/") {
        chmod("\(folder)/\(path)", 0o644)
        try Data([UInt8](repeating: 0, count: files[path]?.count ?? 0)).write(
          to: URL(fileURLWithPath: "\(folder)/\(path)"))
      }
      let exchanges = try fixture.exchanges(2, holders: HoldersOrder(holders: [node.holder], least: .zero))
      let news = [News(), News()]
      let stagers = try exchanges.map { try stager(fixture, dataset, rank: $0.rank, of: 2, $0, news: news[$0.rank]) }
      try await withThrowingTaskGroup(of: Void.self) { group in
        for stager in stagers { group.addTask { _ = try await stager.run() } }
        try await group.waitForAll()
      }
      for rank in 0..<2 {
        try fixture.expect(files, in: try replica(fixture, dataset, rank))
        #expect(Set(news[rank].distrusted).isSubset(of: [2]), "\(news[rank].events)")
      }
      #expect(news.contains { !$0.distrusted.isEmpty })
    }
  }

  @Test func asksHoldersOnlyForWhatTheyHoldACopyOf() async throws {
    try await StagingFixture.with { fixture in
      let (_, dataset, node) = try await held(fixture, seed: 39)
      let others = StagingFixture.files(seed: 40, pieceSize: Self.pieceSize)
      let other = try await fixture.dataset("e", others)
      var part = dataset
      part.mode = .shard
      var stager = try stager(fixture, other, try exchange([node.holder]))
      stager.wishes.datasets = [other, part]
      let done = try await stager.run()
      try fixture.expect(others, in: try replica(fixture, other))
      #expect(fixture.store.bytesRead == other.total.bytes + dataset.total.bytes)
      #expect(done.brought == other.total + dataset.total)
    }
  }
}

@Suite(.timeLimit(.minutes(1)))
struct ShelfTests {
  private let plan = TransferPlan([TransferFile(path: "f", size: 4, checksum: nil, key: "k")])

  private func folder(_ path: String) throws -> PartialFolder {
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    return PartialFolder(path: path, plan: plan)
  }

  @Test func waitsForWhatCannotBeReadUntilItCan() async throws {
    try await StagingFixture.with { fixture in
      let shelf = Shelf()
      let (gone, there) = (try folder(fixture.scratch + "/gone"), try folder(fixture.scratch + "/there"))
      try Data("data".utf8).write(to: URL(fileURLWithPath: there.path + "/f"))
      shelf.opens(gone, pieces: [0])
      #expect(shelf.give(0, until: .now()) == nil)
      let given = Task.detached { shelf.give(0, until: .now() + .minutes(1)) }
      shelf.opens(there, pieces: [0])
      #expect(await given.value == Shelf.Given(bytes: Array("data".utf8), isSecondHand: false))
    }
  }

  @Test func saysWhatItHadFromAnother() async throws {
    try await StagingFixture.with { fixture in
      let shelf = Shelf()
      let folder = try folder(fixture.scratch + "/part")
      try Data("data".utf8).write(to: URL(fileURLWithPath: folder.path + "/f"))
      shelf.opens(folder, pieces: [])
      shelf.add(0, isSecondHand: true)
      #expect(shelf.give(0, until: .now())?.isSecondHand == true)
      // All of it is proved.
      shelf.opens(folder, pieces: [0])
      #expect(shelf.give(0, until: .now())?.isSecondHand == false)
    }
  }
}
