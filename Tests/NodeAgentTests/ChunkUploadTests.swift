import Domain
import Foundation
import ObjectStorage
import Synchronization
import Testing
import Wire

@testable import NodeAgent

@Suite(.timeLimit(.minutes(2)))
struct ChunkUploadTests {
  private static let run = RunID(3)

  /// A node that stores checkpoints which a test writes.
  final class Node {
    let fixture: StagingFixture
    let folder: AttemptFolder
    var order: AttemptOrder
    let base = CheckpointBase()
    var layout = CheckpointLayout.whole
    var ranks = [0]

    init(_ fixture: StagingFixture, rank: Int = 0, of count: Int = 1) throws {
      self.fixture = fixture
      let path = "\(fixture.scratch)/attempt-\(UUID().uuidString)"
      folder = AttemptFolder(path: path, id: AttemptID(7), root: fixture.scratch)
      order = AttemptOrder(
        attempt: AttemptID(7), job: JobID(3), number: 1, controllerEpoch: 1, nodeRank: rank,
        nodeAddresses: (0..<count).map { "10.0.0.\($0 + 1)" }, gpus: [], processesPerNode: 1, command: ["x"],
        environment: [:], seed: 1, datasets: [], resume: nil, store: .folder(path: fixture.store.base.root),
        leaseRemaining: .seconds(60), leaseEnd: Timestamp(secondsSinceEpoch: 1_900_000_000),
        lastSaveLead: .seconds(10), grace: .seconds(5), checkpointEvery: nil, reserve: .zero)
      if count > 1 { (layout, ranks) = (.sharded, [rank]) }
    }

    func write(_ step: Int, _ files: [String: [UInt8]]) throws {
      for (name, bytes) in files {
        let url = URL(fileURLWithPath: "\(folder.checkpoint(step: step))/\(name)")
        try FileManager.default.createDirectory(
          at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(bytes).write(to: url)
      }
    }

    /// The folder in the store of what lies at `step`.
    func prefix(_ step: Int) -> String { ChunkUploadTests.prefix(step, number: order.number) }

    func path(_ step: Int, _ name: String) -> String { "\(folder.checkpoint(step: step))/\(name)" }

    /// Stores what lies at `step`, cut at 1,000 bytes.
    func store(
      _ step: Int, limiter: UploadLimiter = UploadLimiter(interval: nil), pacing: Pacing = .live
    ) async -> CheckpointUpload.Outcome {
      var upload = CheckpointUpload(
        order: order, folder: folder, checkpoint: LocalCheckpoint(step: step, layout: layout, ranks: ranks),
        store: fixture.store, base: base, limiter: limiter)
      upload.chunkLength = 1000
      upload.pacing = pacing
      return await upload.run()
    }
  }

  private static func bytes(_ count: Int, _ seed: UInt8) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: $0 / 7 &* 31 &+ Int(seed)) ^ UInt8(truncatingIfNeeded: $0 / 1000) }
  }

  private static func prefix(_ step: Int, number: Int = 1) -> String {
    ObjectLayout.checkpoint(run: run, step: step, number: number)
  }

  static func isStored(_ outcome: CheckpointUpload.Outcome) -> Bool {
    if case .stored = outcome { true } else { false }
  }

  private func chunks(_ fixture: StagingFixture) -> [String: Int64] {
    fixture.store.puts.filter { $0.key.contains("/chunks/") }
  }

  private func sent(_ fixture: StagingFixture) -> Int64 { chunks(fixture).values.reduce(0, +) }

  @Test func frozenFilesCostNoBytes() async throws {
    try await StagingFixture.with { fixture in
      let node = try Node(fixture)
      let (frozen, small) = (Self.bytes(5500, 1), Self.bytes(10, 2))
      var head = Self.bytes(3000, 3)
      try node.write(1, ["frozen": frozen, "head": head, "small": small, "empty": []])
      #expect(Self.isStored(await node.store(1)))
      #expect(sent(fixture) == 8510)
      for step in 2...3 {
        fixture.store.forgetPuts()
        head[1500] &+= 1
        try node.write(step, ["frozen": frozen, "head": head, "renamed": small, "empty": []])
        #expect(Self.isStored(await node.store(step)))
        // Only the chunk in which a byte changed.
        #expect(sent(fixture) == 1000)
        let found = try await verifyCheckpoint(fixture.store, prefix: Self.prefix(step)).manifest
        #expect(found.files.entries.map(\.path) == ["empty", "frozen", "head", "renamed"])
        #expect(found.files.keys.count { $0.hasPrefix(Self.prefix(1)) } == 9)
      }
    }
  }

  @Test func theSameBytesInACheckpointAreSentOnce() async throws {
    try await StagingFixture.with { fixture in
      let node = try Node(fixture)
      try node.write(1, ["a": [UInt8](repeating: 0, count: 20_000), "b": [UInt8](repeating: 0, count: 5000)])
      #expect(Self.isStored(await node.store(1)))
      #expect(sent(fixture) == 1000)
      _ = try await verifyCheckpoint(fixture.store, prefix: Self.prefix(1))
    }
  }

  @Test func whatItResumedFromIsTheFirstBase() async throws {
    try await StagingFixture.with { fixture in
      let first = try Node(fixture)
      let content = Self.bytes(4200, 1)
      try first.write(1, ["w": content])
      guard case .stored(let prefix, let digest, let size) = await first.store(1) else {
        Issue.record("not stored")
        return
      }
      for isRight in [true, false] {
        fixture.store.forgetPuts()
        let second = try Node(fixture)
        second.order.number = isRight ? 2 : 3
        second.order.resume = ResumeOrder(
          step: 1, prefix: prefix, manifestSHA256: isRight ? digest : "other", total: size)
        try second.write(2, ["w": content])
        #expect(Self.isStored(await second.store(2)))
        #expect(chunks(fixture).isEmpty == isRight)
        _ = try await verifyCheckpoint(fixture.store, prefix: Self.prefix(2, number: second.order.number))
      }
    }
  }

  @Test func aChunkOfTheBaseThatIsGoneIsSentAgain() async throws {
    try await StagingFixture.with { fixture in
      let node = try Node(fixture)
      try node.write(1, ["w": Self.bytes(3000, 1)])
      #expect(Self.isStored(await node.store(1)))
      let gone = try #require(chunks(fixture).keys.min())
      try await fixture.store.delete(gone)
      fixture.store.forgetPuts()
      try node.write(2, ["w": Self.bytes(3000, 1)])
      #expect(Self.isStored(await node.store(2)))
      #expect(chunks(fixture).count == 1)
      _ = try await verifyCheckpoint(fixture.store, prefix: Self.prefix(2))
    }
  }

  @Test func twoNodesShareNothingButTheManifest() async throws {
    try await StagingFixture.with { fixture in
      let nodes = [try Node(fixture, rank: 0, of: 2), try Node(fixture, rank: 1, of: 2)]
      for step in 1...3 {
        fixture.store.forgetPuts()
        for (rank, node) in nodes.enumerated() {
          try node.write(
            step,
            [
              "rank-\(rank)/frozen": Self.bytes(2500, 9),
              "rank-\(rank)/w": Self.bytes(1500, UInt8(10 * step + rank)),
            ])
        }
        // The one that is first has not seen the step before become whole.
        let (first, second) = (nodes[step % 2], nodes[1 - step % 2])
        #expect(await first.store(step) == .partStored)
        #expect(Self.isStored(await second.store(step)))
        let found = try await verifyCheckpoint(fixture.store, prefix: Self.prefix(step)).manifest
        #expect(found.files.entries.map(\.path) == ["rank-0/frozen", "rank-0/w", "rank-1/frozen", "rank-1/w"])
        if step > 1 { #expect(sent(fixture) == 3000) }
      }
    }
  }

  @Test func rejectsAFileThatChangesWhileItIsUploaded() async throws {
    try await StagingFixture.with { fixture in
      let node = try Node(fixture)
      try node.write(1, ["a": Self.bytes(9500, 1), "b": Self.bytes(100, 2)])
      let path = node.path(1, "a")
      let once = Mutex(true)
      fixture.store.beforePut { key in
        guard key.contains("/chunks/"),
          once.withLock({
            let was = $0; $0 = false; return was
          })
        else { return }
        do {
          let file = try #require(FileHandle(forUpdatingAtPath: path))
          try file.seek(toOffset: 9000)
          try file.write(contentsOf: Data("changed".utf8))
          try file.close()
        } catch {
          Issue.record(error)
        }
      }
      guard case .rejected(let reason) = await node.store(1) else {
        Issue.record("it was not rejected")
        return
      }
      #expect(reason.contains("a changed while"))
      #expect(try await fixture.store.head(ObjectLayout.manifest(checkpoint: Self.prefix(1))) == nil)
    }
  }

  @Test func replacesWhatTheStoreKeptWrong() async throws {
    try await StagingFixture.with { fixture in
      let node = try Node(fixture)
      let content = Self.bytes(2500, 1)
      try node.write(1, ["w": content])
      // Another content under the name of a chunk, as if a byte had turned over on its way.
      let key = ObjectLayout.chunk(checkpoint: Self.prefix(1), sha256: ContentHash.of(Array(content[1000..<2000])))
      try await fixture.store.base.put(key, from: .bytes(Self.bytes(1000, 99)))
      #expect(Self.isStored(await node.store(1)))
      _ = try await verifyCheckpoint(fixture.store, prefix: Self.prefix(1))
    }
  }

  @Test func storingAgainAfterTheLastWordWasLostFindsItWhole() async throws {
    try await StagingFixture.with { fixture in
      let node = try Node(fixture)
      try node.write(1, ["w": Self.bytes(2500, 1)])
      try node.write(2, ["w": Self.bytes(2500, 1)])
      #expect(Self.isStored(await node.store(1)))
      let stored = await node.store(2)
      // A process without that base would name other chunks.
      let again = try Node(fixture)
      try again.write(2, ["w": Self.bytes(2500, 1)])
      #expect(await again.store(2) == stored)
      try again.write(1, ["w": Self.bytes(2500, 2)])
      #expect(!Self.isStored(await again.store(1)))
    }
  }

  @Test func resumesFromChunksAndFromVersion1() async throws {
    try await StagingFixture.with { fixture in
      let content = Self.bytes(4200, 5)
      let node = try Node(fixture)
      try node.write(1, ["frozen": content, "deep/w": Self.bytes(10, 1)])
      #expect(Self.isStored(await node.store(1)))
      try node.write(2, ["frozen": content, "deep/w": Self.bytes(1700, 2), "empty": []])
      guard case .stored(let prefix, let digest, let size) = await node.store(2) else {
        Issue.record("not stored")
        return
      }
      try await restore(
        ResumeOrder(step: 2, prefix: prefix, manifestSHA256: digest, total: size), fixture,
        ["frozen": content, "deep/w": Self.bytes(1700, 2), "empty": []])

      let old = Self.prefix(9)
      try await fixture.store.base.put(ObjectLayout.data(checkpoint: old, path: "w"), from: .bytes(content))
      let manifest = """
        {"version":1,"run":3,"number":1,"step":9,"layout":"whole","worldSize":1,"files":{"entries":[
        {"path":"w","size":4200,"sha256":"\(ContentHash.of(content))"}]}}
        """
      let info = try await fixture.store.base.put(
        ObjectLayout.manifest(checkpoint: old), from: .bytes(Array(manifest.utf8)))
      try await restore(
        ResumeOrder(step: 9, prefix: old, manifestSHA256: try #require(info.sha256), total: ByteCount(4200)), fixture,
        ["w": content])
    }
  }

  private func restore(_ order: ResumeOrder, _ fixture: StagingFixture, _ files: [String: [UInt8]]) async throws {
    let folder = "\(fixture.scratch)/resume-\(order.step)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let news = News()
    var stager = Stager(
      wishes: .init(datasets: [], resume: (order, folder), reserve: .zero),
      node: try fixture.node("restores-\(order.step)"), store: fixture.store
    ) { news.add($0) }
    stager.pieceSize = 700
    _ = try await stager.run()
    try fixture.expect(files, in: "\(folder)/step-\(order.step)")
  }
}
