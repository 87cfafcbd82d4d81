import Domain
import Foundation
import ObjectStorage
import Synchronization
import TestKit
import Testing
import Wire

@testable import NodeAgent

@Suite(.timeLimit(.minutes(3)))
struct ExchangeTests {
  private static let pieceSize = 8192

  private var patient: TransferState.Limits {
    var limits = TransferState.Limits()
    limits.patience = .minutes(10)
    limits.grace = .minutes(10)
    return limits
  }

  private func stager(
    _ fixture: StagingFixture, _ dataset: DatasetOrder, rank: Int, of count: Int, _ exchange: Exchange?,
    limits: TransferState.Limits, news: News = News()
  ) throws -> Stager {
    Stager(
      wishes: .init(datasets: [dataset], reserve: .zero, nodeRank: rank, nodeCount: count),
      node: try fixture.node("node-\(rank)"), store: fixture.store, exchange: exchange, limits: limits,
      pieceSize: Self.pieceSize
    ) { news.add($0) }
  }

  private func replica(_ fixture: StagingFixture, _ dataset: DatasetOrder, _ rank: Int) throws -> String {
    try fixture.node("node-\(rank)").replica(dataset.contentID)
  }

  @Test(arguments: [2, 4])
  func readsEachByteOfTheStoreOnceForAllNodes(count: Int) async throws {
    try await StagingFixture.with { fixture in
      let files = StagingFixture.files(seed: 11, pieceSize: Self.pieceSize, large: 6, small: 200)
      let dataset = try await fixture.dataset("d", files)
      let exchanges = try fixture.exchanges(count)
      let stagers = try exchanges.map { exchange in
        try stager(fixture, dataset, rank: exchange.rank, of: count, exchange, limits: patient)
      }
      try await withThrowingTaskGroup(of: Void.self) { group in
        for stager in stagers { group.addTask { _ = try await stager.run() } }
        try await group.waitForAll()
      }
      for rank in 0..<count { try fixture.expect(files, in: try replica(fixture, dataset, rank)) }
      #expect(fixture.store.bytesRead == dataset.total.bytes)
    }
  }

  @Test func servesWhatItHadBefore() async throws {
    try await StagingFixture.with { fixture in
      let files = StagingFixture.files(seed: 12, pieceSize: Self.pieceSize)
      let dataset = try await fixture.dataset("d", files)
      _ = try await stager(fixture, dataset, rank: 0, of: 2, nil, limits: patient).run()
      fixture.store.forget()
      let exchanges = try fixture.exchanges(2)
      for rank in 0...1 {
        _ = try await stager(fixture, dataset, rank: rank, of: 2, exchanges[rank], limits: patient).run()
      }
      try fixture.expect(files, in: try replica(fixture, dataset, 1))
      #expect(fixture.store.bytesRead < dataset.total.bytes * 2 / 3)
    }
  }

  /// A node with the right key whose pieces are nonsense.
  private func liar(_ exchange: Exchange, _ fixture: StagingFixture, _ dataset: DatasetOrder) async throws {
    let name = ReplicaName(dataset, rank: 1, count: 2)
    let plan = try await DatasetPlan.read(
      dataset, name, StoreReader(store: fixture.store), pieceSize: Self.pieceSize
    ).transfer
    let folder = PartialFolder(path: fixture.scratch + "/lies", plan: plan)
    try folder.prepare()
    exchange.shelf(for: plan).opens(folder, pieces: Array(plan.pieces.indices))
  }

  @Test(arguments: [(large: 6, small: 0), (large: 0, small: 200), (large: 4, small: 100)])
  func asksAPeerThatLiesNothingMore(large: Int, small: Int) async throws {
    try await StagingFixture.with { fixture in
      let files = StagingFixture.files(seed: 13, pieceSize: Self.pieceSize, large: large, small: small)
      let dataset = try await fixture.dataset("d", files)
      let exchanges = try fixture.exchanges(2)
      try await liar(exchanges[1], fixture, dataset)
      let news = News()
      _ = try await stager(fixture, dataset, rank: 0, of: 2, exchanges[0], limits: patient, news: news).run()
      try fixture.expect(files, in: try replica(fixture, dataset, 0))
      #expect(news.distrusted == [1])
      guard
        case .peerDistrusted(_, "127.0.0.2", _)? = news.events.first(where: {
          if case .peerDistrusted = $0 { true } else { false }
        })
      else {
        Issue.record("\(news.events)")
        return
      }
      #expect(fixture.store.bytesRead == dataset.total.bytes)
    }
  }

  @Test func doesWithoutAPeerThatHangs() async throws {
    try await StagingFixture.with { fixture in
      let files = StagingFixture.files(seed: 14, pieceSize: Self.pieceSize)
      let dataset = try await fixture.dataset("d", files)
      let silent = try Listener(host: "127.0.0.2")
      let exchange = try fixture.exchanges(2, answerLimit: .seconds(0.05))[0]
      exchange.peersServe(on: [exchange.port, silent.port])
      _ = try await stager(fixture, dataset, rank: 0, of: 2, exchange, limits: patient).run()
      try fixture.expect(files, in: try replica(fixture, dataset, 0))
      #expect(fixture.store.bytesRead == dataset.total.bytes)
      withExtendedLifetime(silent) {}
    }
  }

  @Test func doesWithoutAPeerThatIsSlowerThanTheStore() async throws {
    try await StagingFixture.with { fixture in
      let files = StagingFixture.files(seed: 19, pieceSize: Self.pieceSize)
      let dataset = try await fixture.dataset("d", files)
      // The other one serves, and never has anything.
      let exchange = try fixture.exchanges(2)[0]
      var limits = patient
      limits.grace = .zero
      _ = try await stager(fixture, dataset, rank: 0, of: 2, exchange, limits: limits).run()
      try fixture.expect(files, in: try replica(fixture, dataset, 0))
      #expect(fixture.store.bytesRead == dataset.total.bytes)
    }
  }

  @Test func goesOnWhenAPeerDiesInTheMiddle() async throws {
    try await StagingFixture.with { fixture in
      let files = StagingFixture.files(seed: 15, pieceSize: Self.pieceSize, large: 8)
      let dataset = try await fixture.dataset("d", files)
      _ = try await stager(fixture, dataset, rank: 1, of: 2, nil, limits: patient).run()
      fixture.store.forget()
      let exchanges = try fixture.exchanges(2)
      _ = try await stager(fixture, dataset, rank: 1, of: 2, exchanges[1], limits: patient).run()
      let left = Mutex(4)
      fixture.store.before { [peer = exchanges[1]] _ in
        if left.withLock({ left in
          left -= 1
          return left == 0
        }) {
          peer.close()
        }
      }
      _ = try await stager(fixture, dataset, rank: 0, of: 2, exchanges[0], limits: patient).run()
      try fixture.expect(files, in: try replica(fixture, dataset, 0))
      #expect(fixture.store.bytesRead <= dataset.total.bytes)
    }
  }

  @Test func givesNothingToWhoHasNotTheKey() async throws {
    try await StagingFixture.with { fixture in
      let files = StagingFixture.files(seed: 16, pieceSize: Self.pieceSize)
      let dataset = try await fixture.dataset("d", files)
      let exchanges = try fixture.exchanges(
        2, keys: [String(repeating: "00", count: 32), String(repeating: "01", count: 32)])
      _ = try await stager(fixture, dataset, rank: 1, of: 2, nil, limits: patient).run()
      _ = try await stager(fixture, dataset, rank: 1, of: 2, exchanges[1], limits: patient).run()
      fixture.store.forget()
      let news = News()
      _ = try await stager(fixture, dataset, rank: 0, of: 2, exchanges[0], limits: patient, news: news).run()
      try fixture.expect(files, in: try replica(fixture, dataset, 0))
      #expect(fixture.store.bytesRead == dataset.total.bytes)
      #expect(news.distrusted.isEmpty)
    }
  }

  @Test func hangsUpOnAStrangerAfterTheGreeting() async throws {
    try await StagingFixture.with { fixture in
      let exchange = try fixture.exchanges(2)[0]
      let port = try #require(exchange.port)
      let connection = try Connection.open("127.0.0.1", port: port, until: .now() + .minutes(1))
      let greeting = try connection.receive(
        PeerProtocol.greeting.count + PeerProtocol.nonceSize, until: .now() + .minutes(1))
      #expect(greeting.starts(with: PeerProtocol.greeting))
      try connection.send([UInt8](repeating: 0, count: PeerProtocol.requestSize), until: .now() + .minutes(1))
      #expect(throws: (any Error).self) { try connection.receive(1, until: .now() + .minutes(1)) }
    }
  }

  @Test func bringsAllFromTheStoreWhereNobodySaysWhereThePeersAre() async throws {
    try await StagingFixture.with { fixture in
      let files = StagingFixture.files(seed: 17, pieceSize: Self.pieceSize)
      let dataset = try await fixture.dataset("d", files)
      let exchange = try Exchange(
        ExchangeOrder(key: String(repeating: "5a", count: 32)), rank: 0, addresses: ["127.0.0.1", "127.0.0.2"])
      defer { exchange.close() }
      var limits = TransferState.Limits()
      limits.patience = .zero
      _ = try await stager(fixture, dataset, rank: 0, of: 2, exchange, limits: limits).run()
      try fixture.expect(files, in: try replica(fixture, dataset, 0))
      #expect(fixture.store.bytesRead == dataset.total.bytes)
    }
  }
}

@Suite struct PeerProtocolTests {
  private let request = PeerProtocol.Request(
    number: 3, plan: [UInt8](repeating: 9, count: 32), piece: 70_000, waitMilliseconds: 500,
    nonce: [UInt8](repeating: 4, count: 32))
  private let nonce = [UInt8](repeating: 1, count: 32)

  @Test func aRequestComesBackOnlyAsItWasProved() throws {
    let key = try #require(ExchangeKey(hex: String(repeating: "ab", count: 32)))
    let bytes = request.encoded(key, serverNonce: nonce)
    #expect(bytes.count == PeerProtocol.requestSize)
    #expect(PeerProtocol.Request(bytes, key, serverNonce: nonce) == request)
    #expect(PeerProtocol.Request(bytes, key, serverNonce: [UInt8](repeating: 2, count: 32)) == nil)
    for index in bytes.indices {
      var changed = bytes
      changed[index] ^= 1
      #expect(PeerProtocol.Request(changed, key, serverNonce: nonce) == nil)
    }
    #expect(ExchangeKey(hex: "abc") == nil)
    #expect(ExchangeKey(hex: String(repeating: "xy", count: 32)) == nil)
  }

  @Test func anAnswerIsGoodOnlyForItsRequest() throws {
    let key = try #require(ExchangeKey(hex: String(repeating: "ab", count: 32)))
    let bytes = PeerProtocol.answer(.piece, [1, 2, 3], to: request, key, serverNonce: nonce)
    let head = Array(bytes[..<8])
    #expect(PeerProtocol.bodyLength(head) == 3)
    let (body, proof) = (Array(bytes[8..<11]), Array(bytes[11...]))
    #expect(
      PeerProtocol.status(head: head, body: body, proof: proof, of: request, key, serverNonce: nonce) == .piece)
    var other = request
    other.piece += 1
    #expect(PeerProtocol.status(head: head, body: body, proof: proof, of: other, key, serverNonce: nonce) == nil)
    #expect(
      PeerProtocol.status(head: head, body: [1, 2, 4], proof: proof, of: request, key, serverNonce: nonce) == nil)
    #expect(PeerProtocol.bodyLength([0, 0, 0, 1, 0x7F, 0, 0, 0]) == nil)
    #expect(PeerProtocol.bodyLength([0, 0, 0, 9, 0, 0, 0, 0]) == nil)
    #expect(PeerProtocol.bodyLength([0, 0, 0, 2, 0, 0, 0, 1]) == nil)
  }
}
