import Domain
import Synchronization
import Testing
import Wire

@testable import ObjectStorage

/// Nodes that store checkpoints of one run, and a controller that hears of it late; nothing is concurrent, all is in any
/// order.
final class CheckpointWorld: Sendable {
  private struct Chance: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return state
    }
  }

  private struct Node {
    var base = ChunkIndex()
    var contents = ["a", "b", "c"]
    /// The step of which it stores its part next.
    var step: Int
  }

  private struct State {
    var chance: Chance
    var nodes: [Node]
    var number = 1
    var step = 0
    var resumed: String?
    var parts: [Int: [Int: ChunkedFiles]] = [:]
    /// Committed, and not heard of.
    var news: [String] = []
    var durable: [String] = []
    var pruned: Set<String> = []
    var commits = 0
    var isActing = false
  }

  private let store: any ObjectStore
  private let state: Mutex<State>
  private let nodeCount: Int

  init(_ store: any ObjectStore, seed: UInt64, nodes: Int) {
    self.store = store
    nodeCount = nodes
    state = Mutex(
      State(
        chance: Chance(state: seed &* 0x9E37_79B9_7F4A_7C15 | 1),
        nodes: Array(repeating: Node(step: 1), count: nodes)))
  }

  var commits: Int { state.withLock { $0.commits } }
  var prunings: Int { state.withLock { $0.pruned.count } }

  private func prefix(_ step: Int, _ number: Int) -> String {
    ObjectLayout.checkpoint(run: RunID(4), step: step, number: number)
  }

  func roll(_ count: Int) -> Int { state.withLock { Int.random(in: 0..<count, using: &$0.chance) } }

  /// Something happens: a part, perhaps with it a commit; news; a new attempt.
  func act() async throws {
    switch roll(10) {
    case 0..<6: try await storePart(roll(nodeCount))
    case 6..<9: hear()
    default: try await beginAttempt()
    }
  }

  private func storePart(_ rank: Int) async throws {
    var (node, number) = state.withLock { ($0.nodes[rank], $0.number) }
    // Old contents come back, so that a chunk of an older checkpoint would do.
    for index in node.contents.indices where roll(3) == 0 { node.contents[index] = "\(rank) \(index) \(roll(4))" }
    let step = node.step
    node.step += 1
    // What cannot be used is skipped, and never becomes whole.
    if roll(8) != 0 {
      let own = try await Checkpoints.manifest(
        store, prefix: prefix(step, number), run: 4, step: step, number: number, ["rank-\(rank)/w": node.contents],
        known: node.base)
      node.base = ChunkIndex(own.files)
      state.withLock { $0.parts[step, default: [:]][rank] = own.files }
    }
    let parts = state.withLock { state in
      state.nodes[rank] = node
      return state.parts[step] ?? [:]
    }
    guard parts.count == nodeCount, parts[rank] != nil else { return }
    let layout = CheckpointLayout.sharded
    let manifest = try #require(
      CheckpointManifest(
        run: RunID(4), number: number, step: step, worldSize: nodeCount,
        parts: parts.map { CheckpointPart(nodeRank: $0.key, layout: layout, ranks: [$0.key], files: $0.value) }))
    let place = prefix(step, number)
    try await store.put(ObjectLayout.manifest(checkpoint: place), from: .bytes(try manifest.encoded()))
    state.withLock { state in
      state.news.append(place)
      state.commits += 1
    }
  }

  private func hear() {
    state.withLock { state in
      guard let index = state.news.indices.randomElement(using: &state.chance) else { return }
      state.durable.append(state.news.remove(at: index))
      // Newer attempts and newer steps last.
      state.durable.sort { Self.order($0) < Self.order($1) }
    }
  }

  private static func order(_ prefix: String) -> Int {
    ObjectLayout.parseCheckpoint(prefix: prefix).map { $0.number * 1_000_000 + $0.step } ?? 0
  }

  /// The attempt before is settled first: all that it stored is known.
  private func beginAttempt() async throws {
    while state.withLock({ !$0.news.isEmpty }) { hear() }
    guard let latest = state.withLock({ $0.durable.last }) else { return }
    let bytes = try await store.bytes(ObjectLayout.manifest(checkpoint: latest))
    let index = ChunkIndex(try CheckpointManifest(decoding: bytes).files)
    let step = (ObjectLayout.parseCheckpoint(prefix: latest)?.step ?? 0) + 1
    state.withLock { state in
      state.number += 1
      state.resumed = latest
      state.parts = [:]
      for rank in state.nodes.indices {
        state.nodes[rank].base = index
        state.nodes[rank].step = step
      }
    }
  }

  /// Some checkpoint beyond the newest two is pruned; what the controller knows right after that.
  func sweep() -> (pruned: Set<String>, kept: Set<String>)? {
    state.withLock { state in
      let candidates = state.durable.dropLast(2).filter { $0 != state.resumed }
      guard let chosen = candidates.randomElement(using: &state.chance) else { return nil }
      state.durable.removeAll { $0 == chosen }
      state.pruned.insert(chosen)
      return (state.pruned, Set(state.durable))
    }
  }

  /// Every checkpoint that is kept, heard of or not, is whole.
  func check() async throws {
    for prefix in state.withLock({ $0.durable + $0.news }) {
      let bytes = try await store.bytes(ObjectLayout.manifest(checkpoint: prefix))
      for key in try CheckpointManifest(decoding: bytes).files.keys {
        #expect(try await store.head(key) != nil, "\(prefix) names \(key)")
      }
    }
  }
}

/// Objects in memory, where something may happen before each request of a sweep.
final class InterruptedStore: ObjectStore {
  private let objects = Mutex<[String: [UInt8]]>([:])
  private let hook = Mutex<(@Sendable () async throws -> Void)?>(nil)

  /// From now on `body` is done before each listing, reading and removal that is not its own.
  func interrupt(_ body: @escaping @Sendable () async throws -> Void) { hook.withLock { $0 = body } }

  private func interrupt() async {
    guard let body = hook.withLock({ $0.take() }) else { return }
    do { try await body() } catch { Issue.record(error) }
    hook.withLock { $0 = body }
  }

  private func info(_ key: String, _ bytes: [UInt8]) -> ObjectInfo {
    ObjectInfo(key: key, size: Int64(bytes.count), tag: "1", checksum: nil)
  }

  private func unused(_ key: String) -> ObjectStoreError {
    ObjectStoreError(.badRequest, key: key, reason: "not needed here")
  }

  func get(
    _ key: String, range: Range<Int64>?, ifTag: String?, _ receive: @Sendable ([UInt8]) async throws -> Void
  ) async throws {
    await interrupt()
    guard let bytes = objects.withLock({ $0[key] }) else {
      throw ObjectStoreError(.notFound, key: key, reason: "there is no such object")
    }
    try await receive(bytes)
  }
  func put(
    _ key: String, from source: ObjectSource, sha256: String?, replacing: Bool
  ) async throws(ObjectStoreError) -> ObjectInfo {
    guard case .bytes(let bytes) = source else { throw unused(key) }
    objects.withLock { $0[key] = bytes }
    return info(key, bytes)
  }
  func head(_ key: String) async throws(ObjectStoreError) -> ObjectInfo? {
    objects.withLock { $0[key] }.map { info(key, $0) }
  }
  func list(prefix: String, after marker: String?, limit: Int) async throws(ObjectStoreError) -> ObjectPage {
    await interrupt()
    let found = objects.withLock { objects in
      objects.filter { $0.key > marker ?? prefix }.sorted { $0.key < $1.key }
    }
    // Short pages, so that there is something between them.
    let page = found.prefix(40).map { info($0.key, $0.value) }
    return ObjectPage(entries: page, next: found.count > 40 ? page.last?.key : nil)
  }
  func delete(_ key: String) async throws(ObjectStoreError) {
    await interrupt()
    objects.withLock { $0[key] = nil }
  }
  func beginUpload(_ key: String, sha256: String?) async throws(ObjectStoreError) -> PartedUpload { throw unused(key) }
  func uploadPart(
    _ upload: PartedUpload, number: Int, from source: ObjectSource
  ) async throws(ObjectStoreError) -> UploadedPart { throw unused(upload.key) }
  func completeUpload(
    _ upload: PartedUpload, parts: [UploadedPart], replacing: Bool
  ) async throws(ObjectStoreError) -> ObjectInfo { throw unused(upload.key) }
  func abortUpload(_ upload: PartedUpload) async throws(ObjectStoreError) { throw unused(upload.key) }
  func delegate(read: [String], write: [String], until: Timestamp) async throws(ObjectStoreError) -> StoreAccess {
    throw unused("")
  }
}
