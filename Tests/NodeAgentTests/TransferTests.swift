import Domain
import Foundation
import Glibc
import ObjectStorage
import Synchronization
import TestKit
import Testing
import Wire

@testable import NodeAgent

@Suite(.timeLimit(.minutes(3)))
struct TransferTests {
  private static let pieceSize = 4096

  private func plan(_ files: [String: [UInt8]], _ store: CountingStore, hashes: Bool = true) async throws
    -> TransferPlan
  {
    var wanted: [TransferFile] = []
    for (path, bytes) in files.sorted(by: { $0.key < $1.key }) {
      let sha256 = ContentHash.of(bytes)
      let key = ObjectLayout.blob(sha256: sha256)
      try await store.base.put(key, from: .bytes(bytes))
      wanted.append(
        TransferFile(path: path, size: Int64(bytes.count), checksum: hashes ? .sha256(sha256) : nil, key: key))
    }
    return TransferPlan(wanted, pieceSize: Self.pieceSize)
  }

  private func transfer(_ plan: TransferPlan, _ fixture: StagingFixture, name: String = "partial") -> Transfer {
    let path = "\(fixture.scratch)/\(name)"
    return Transfer(
      folder: PartialFolder(path: path, plan: plan), map: PieceMap(path: path + ".map", planID: plan.id),
      reader: StoreReader(store: fixture.store, tries: 1), exchange: nil,
      meter: ProgressMeter(total: ByteCount(plan.total)) { _ in })
  }

  @Test func bringsEveryByteOnce() async throws {
    try await StagingFixture.with { fixture in
      let files = StagingFixture.files(seed: 1, pieceSize: Self.pieceSize)
      let plan = try await plan(files, fixture.store)
      try await transfer(plan, fixture).run()
      try fixture.expect(files, in: fixture.scratch + "/partial")
      #expect(fixture.store.bytesRead == plan.total)
    }
  }

  @Test func asksForNeighboursByOneRequest() async throws {
    try await StagingFixture.with { fixture in
      let file = (0..<64 * Self.pieceSize + 9).map { UInt8(truncatingIfNeeded: $0 / 7) }
      let plan = try await plan(["f": file], fixture.store)
      try await transfer(plan, fixture).run()
      try fixture.expect(["f": file], in: fixture.scratch + "/partial")
      #expect(fixture.store.bytesRead == plan.total)
      #expect(fixture.store.readings.count < plan.pieces.count * 2 / 3)
    }
  }

  /// Who waits for a piece of a request that fails hears why, and not only that it is over.
  @Test func namesWhyARequestForSeveralPiecesFailed() async throws {
    try await StagingFixture.with { fixture in
      let plan = try await plan(["f": [UInt8](repeating: 1, count: 64 * Self.pieceSize)], fixture.store)
      fixture.store.before { reading in if reading.range.lowerBound > 0 { throw Killed() } }
      await #expect(throws: Killed.self) { try await transfer(plan, fixture).run() }
    }
  }

  @Test func asksForASmallObjectAsAWhole() async throws {
    try await StagingFixture.with { fixture in
      let plan = try await plan(["f": [1, 2, 3]], fixture.store)
      let source = try #require(plan.files.first?.sources.first)
      #expect(source.isWhole)
      // Longer than it should be: no more of it is read than that is known.
      try await fixture.store.base.put(source.key, from: .bytes([UInt8](repeating: 1, count: 1 << 22)))
      await #expect(throws: StagingFailure.corrupt(key: source.key)) { try await transfer(plan, fixture).run() }
    }
  }

  @Test func readsManySmallObjectsInFewPieces() throws {
    let files = (0..<1000).map { TransferFile(path: "\($0)", size: 1000, checksum: nil, key: "k\($0)") }
    let plan = TransferPlan(files)
    #expect(plan.pieces.count == 4)
    #expect(plan.pieces.allSatisfy { $0.fragments.count <= TransferPlan.filesInABatch })
  }

  @Test func readsNeighboursInATarWithOneRequest() throws {
    let files = [
      TransferFile(path: "a", size: 10, checksum: nil, key: "tar", start: 512),
      TransferFile(path: "b", size: 20, checksum: nil, key: "tar", start: 1536),
      TransferFile(path: "c", size: 5, checksum: nil, key: "other", start: 512),
    ]
    let plan = TransferPlan(files)
    let reads = TransferPlan.reads(of: plan.pieces[0], wanted: [0, 1, 2])
    #expect(reads.map(\.range) == [512..<1556, 512..<517])
    #expect(reads.map(\.positions) == [[0, 1], [2]])
  }

  private struct Killed: Error {}

  /// However often it is stopped, and wherever its map is torn: what the map says is finished is never read again.
  @Test(arguments: 1...20 as ClosedRange<UInt64>)
  func goesOnWhereItWasStopped(seed: UInt64) async throws {
    try await StagingFixture.with { fixture in
      var chance = SeededGenerator(seed: seed)
      let files = StagingFixture.files(seed: seed, pieceSize: Self.pieceSize, large: 4, small: 30)
      let plan = try await plan(files, fixture.store, hashes: seed % 5 != 0)
      let transfer = transfer(plan, fixture)
      var finished: Set<Int> = []
      for _ in 0..<20 {
        let left = Mutex(chance.int(0...plan.pieces.count))
        fixture.store.forget()
        fixture.store.before { _ in
          try left.withLock { left in
            left -= 1
            if left < 0 { throw Killed() }
          }
        }
        let result = await Result { try await transfer.run() }
        let read = Set(fixture.store.readings)
        for piece in finished {
          for fragment in plan.pieces[piece].fragments {
            let again = read.contains { $0.key == fragment.key && $0.range.contains(fragment.start) }
            #expect(!again, "piece \(piece) was there and came again")
          }
        }
        if case .success = result { break }
        if chance.chance(60) { try tear(transfer.map.path, &chance) }
        finished = try transfer.map.read()?.pieces ?? []
      }
      fixture.store.before(nil)
      try await transfer.run()
      try fixture.expect(files, in: fixture.scratch + "/partial")
    }
  }

  /// What a crash leaves of a file that was being appended to: less, or more that is nonsense.
  private func tear(_ path: String, _ chance: inout SeededGenerator) throws {
    guard var bytes = try? Data(contentsOf: URL(fileURLWithPath: path)) else { return }
    if chance.chance(50) {
      bytes.removeLast(chance.int(0...min(40, bytes.count - 1)))
    } else {
      bytes.append(contentsOf: (0..<chance.int(1...40)).map { _ in chance.chance(30) ? 0 : UInt8(chance.int(0...255)) })
    }
    try bytes.write(to: URL(fileURLWithPath: path))
  }

  @Test func fetchesAFileOfTheWrongHashAgainAndThenNamesIt() async throws {
    try await StagingFixture.with { fixture in
      let large = [UInt8](repeating: 7, count: Self.pieceSize * 3)
      var plan = try await plan(["large": large, "small": [1, 2, 3]], fixture.store)
      let key = plan.files[0].sources[0].key
      try await fixture.store.base.put(key, from: .bytes([UInt8](repeating: 8, count: large.count)))
      await #expect(throws: StagingFailure.corrupt(key: key)) { try await transfer(plan, fixture).run() }
      #expect(fixture.store.readings.filter { $0.key == key }.count == 6)

      // A small one is judged with its piece.
      plan = try await self.plan(["large": large, "small": [1, 2, 3]], fixture.store)
      let small = plan.files[1].sources[0].key
      try await fixture.store.base.put(small, from: .bytes([3, 2, 1]))
      await #expect(throws: StagingFailure.corrupt(key: small)) { try await transfer(plan, fixture, name: "b").run() }
    }
  }

  @Test func takesAGoodSecondReading() async throws {
    try await StagingFixture.with { fixture in
      let good = [UInt8](repeating: 7, count: Self.pieceSize * 3)
      let plan = try await plan(["large": good, "s": [1]], fixture.store)
      let key = plan.files[0].sources[0].key
      let base = fixture.store.base
      try await base.put(key, from: .bytes([UInt8](repeating: 8, count: good.count)))
      let readings = Mutex(0)
      fixture.store.before { reading in
        guard reading.key == key else { return }
        if readings.withLock({ count in
          count += 1
          return count > 3
        }) {
          try await base.put(key, from: .bytes(good))
        }
      }
      try await transfer(plan, fixture).run()
      try fixture.expect(["large": good, "s": [1]], in: fixture.scratch + "/partial")
    }
  }

  @Test func namesAnObjectThatWasReplaced() async throws {
    try await StagingFixture.with { fixture in
      let info = try await fixture.store.base.put("blobs/x", from: .bytes([1, 2, 3]))
      try await fixture.store.base.put("blobs/x", from: .bytes([4, 5, 6]))
      let file = TransferFile(path: "x", size: 3, checksum: nil, key: "blobs/x", tag: info.sha256)
      await #expect(throws: StagingFailure.changed(key: "blobs/x")) {
        try await transfer(TransferPlan([file]), fixture).run()
      }
    }
  }

  @Test func usesWhatIsGoodOfAFolderWithoutAMap() async throws {
    try await StagingFixture.with { fixture in
      let files = StagingFixture.files(seed: 3, pieceSize: Self.pieceSize)
      let plan = try await plan(files, fixture.store)
      let transfer = transfer(plan, fixture)
      try await transfer.run()
      try FileManager.default.removeItem(atPath: transfer.map.path)
      let damaged = URL(fileURLWithPath: transfer.folder.path + "/large/1")
      try Data(repeating: 1, count: files["large/1"]?.count ?? 0).write(to: damaged)
      try Data("stray".utf8).write(to: URL(fileURLWithPath: transfer.folder.path + "/stray"))
      fixture.store.forget()
      try await transfer.run()
      try fixture.expect(files, in: transfer.folder.path)
      #expect(fixture.store.bytesRead == Int64(files["large/1"]?.count ?? 0))
    }
  }
}

extension Result where Failure == any Error {
  init(_ body: () async throws -> Success) async {
    do { self = .success(try await body()) } catch { self = .failure(error) }
  }
}

@Suite struct RateTests {
  @Test func settlesOnTheRateAndForgetsOldOnes() throws {
    var rate = RateEstimate(at: .seconds(-60))
    rate.add(0, at: .zero)
    #expect(rate.bytesPerSecond == nil)
    for second in 1...30 { rate.add(Int64(second) * 100, at: .seconds(second)) }
    #expect(rate.bytesPerSecond == ByteCount(100))
    #expect(rate.eta(left: 1000) == .seconds(10))
    for second in 31...90 { rate.add(3000 + Int64(second - 30) * 10, at: .seconds(second)) }
    let slow = try #require(rate.bytesPerSecond)
    #expect(slow < ByteCount(12))
    #expect(RateEstimate(at: .zero).eta(left: 5) == nil)
  }
}
