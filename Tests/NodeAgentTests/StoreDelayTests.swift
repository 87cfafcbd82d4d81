import Foundation
import ObjectStorage
import Synchronization
import Testing
import Wire

@testable import NodeAgent

@Suite struct StoreDelaysTests {
  @Test func tellsEachReasonOnceForACheckpointAndNotTooMany() {
    var delays = StoreDelays()
    #expect(delays.waits(5, because: "503") == .checkpointDelayed(step: 5, reason: "503"))
    #expect(delays.waits(5, because: "503") == nil)
    #expect(delays.waits(5, because: "refused") == .checkpointDelayed(step: 5, reason: "refused"))
    #expect(delays.waits(6, because: "503") == .checkpointDelayed(step: 6, reason: "503"))
    let told = (0..<100).compactMap { delays.waits(6, because: "cut after byte \($0)") }
    #expect(told.count == StoreDelays.most - 1)
  }
}

/// What the upload of a checkpoint does with a store that refuses, or gives other bytes, for a while or for ever.
@Suite(.timeLimit(.minutes(2)))
struct DoubtTests {
  /// Which requests a store has a bad day with.
  enum Request: String, Sendable, CaseIterable {
    case chunk, chunkBack, part, partBack, manifest, manifestBack

    func isMet(by access: CountingStore.Access) -> Bool {
      switch (self, access) {
      case (.chunk, .put(let key)), (.chunkBack, .get(let key)): key.contains("/chunks/")
      case (.part, .put(let key)), (.partBack, .get(let key)): key.hasSuffix("/part-0.json")
      case (.manifest, .put(let key)), (.manifestBack, .get(let key)): key.hasSuffix("/manifest.json")
      default: false
      }
    }
  }

  /// Time that passes only while something waits, and what was heard meanwhile.
  private final class Waits: Sendable {
    private let passed = Mutex(Duration.zero)
    private let told = Mutex<[Duration]>([])

    var heard: [Duration] { told.withLock { $0 } }
    var pacing: Pacing {
      Pacing(
        now: { self.passed.withLock { $0 } }, random: { 1 },
        sleep: { pause in self.passed.withLock { $0 += pause } },
        hear: { _, lasting in self.told.withLock { $0.append(lasting) } })
    }
  }

  private func store(
    _ code: ObjectStoreError.Code, times: Int, at request: Request,
    _ check: (CheckpointUpload.Outcome, ChunkUploadTests.Node, Waits) async throws -> Void
  ) async throws {
    try await StagingFixture.with { fixture in
      let node = try ChunkUploadTests.Node(fixture)
      try node.write(1, ["w": [1, 2, 3]])
      let left = Mutex(times)
      fixture.store.refuse { access in
        guard request.isMet(by: access) else { return nil }
        return left.withLock { left in
          left -= 1
          return left >= 0 ? code : nil
        }
      }
      let waits = Waits()
      let outcome = await node.store(1, pacing: waits.pacing)
      fixture.store.refuse(nil)
      try await check(outcome, node, waits)
    }
  }

  @Test(arguments: Request.allCases) func doesNotGiveACheckpointUpForAMoment(request: Request) async throws {
    for code in [ObjectStoreError.Code.denied, .checksumMismatch] {
      try await store(code, times: 3, at: request) { outcome, node, _ in
        #expect(ChunkUploadTests.isStored(outcome), "\(code): \(outcome)")
        _ = try await verifyCheckpoint(node.fixture.store, prefix: node.prefix(1))
      }
    }
  }

  @Test(arguments: Request.allCases) func givesItUpAndSaysWhyWhereThatLasts(request: Request) async throws {
    try await store(.denied, times: .max, at: request) { outcome, node, waits in
      guard case .rejected(let reason) = outcome else {
        Issue.record("\(outcome)")
        return
      }
      #expect(reason.contains("denied") && reason.contains("a bad day"), "\(reason)")
      #expect(waits.heard.isEmpty)
      // Whatever was refused last, the manifest is there only where it was written.
      let manifest = try await node.fixture.store.base.head(ObjectLayout.manifest(checkpoint: node.prefix(1)))
      #expect((manifest != nil) == (request == .manifestBack))
    }
  }

  @Test func waitsForAStoreThatIsAwayAndSaysSinceWhen() async throws {
    try await store(.unavailable, times: 30, at: .part) { outcome, _, waits in
      #expect(ChunkUploadTests.isStored(outcome))
      #expect(waits.heard.count == 30)
      #expect(waits.heard == waits.heard.sorted())
      #expect(waits.heard.last ?? .zero > StoreDelays.patience)
    }
  }
}
