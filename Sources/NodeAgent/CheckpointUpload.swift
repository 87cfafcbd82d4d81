import CLinux
import Domain
import Glibc
import ObjectStorage
import Synchronization
import Wire

/// Brings one local checkpoint into the store, as a commit: chunks, read back, part, and the manifest last.
///
/// Files are cut into chunks, and each is hashed, sent and read back by itself, some at a time. Chunks that the base has
/// are named where they are.
struct CheckpointUpload: Sendable {
  enum Outcome: Hashable, Sendable {
    /// The checkpoint exists.
    case stored(prefix: String, manifestSHA256: String, bytes: ByteCount)
    /// This node's part is stored; another node will complete it.
    case partStored
    /// It cannot be used.
    case rejected(String)
    /// There was no time left, or a newer one took its place.
    case cancelled
  }

  /// It cannot be used, because of the text.
  private struct Rejection: Error { var reason: String }

  var order: AttemptOrder
  var folder: AttemptFolder
  var checkpoint: LocalCheckpoint
  var store: any ObjectStore
  var base: CheckpointBase
  var limiter: UploadLimiter
  /// It is not worth it once one of these newer steps is whole.
  var newer: [Int] = []
  /// Where files are cut.
  var chunkLength = CheckpointChunk.length
  /// Time and chance of what is tried again here; the store has its own.
  var pacing = Pacing.live

  /// So often in a row a refusal, or wrong bytes, are not believed.
  private static let doubts = 3
  /// Chunks on their way at once.
  private static let lanes = 8
  static let pool = BlockingPool(label: "baton.checkpoints", width: 4)
  /// Keys that a lane has taken on: a checkpoint may have the same bytes many times.
  private let taken = Claims()

  init(
    order: AttemptOrder, folder: AttemptFolder, checkpoint: LocalCheckpoint, store: any ObjectStore,
    base: CheckpointBase, limiter: UploadLimiter, newer: [Int] = []
  ) {
    self.order = order
    self.folder = folder
    self.checkpoint = checkpoint
    self.store = store
    self.base = base
    self.limiter = limiter
    self.newer = newer
  }

  private var prefix: String { prefix(of: checkpoint.step) }
  private func prefix(of step: Int) -> String {
    ObjectLayout.checkpoint(run: order.job.run, step: step, number: order.number)
  }
  private var path: String { folder.checkpoint(step: checkpoint.step) }

  /// Does not throw: whatever happens to a checkpoint, the training goes on.
  func run() async -> Outcome {
    do {
      for step in newer {
        let key = ObjectLayout.manifest(checkpoint: prefix(of: step))
        if try await patiently({ try await store.head(key) }) != nil { return .cancelled }
      }
      let files = try await stored()
      let part = try await putPart(
        CheckpointPart(nodeRank: order.nodeRank, layout: checkpoint.layout, ranks: checkpoint.ranks, files: files))
      base.isNow(part.files)
      return try await commit(part)
    } catch let rejection as Rejection {
      return .rejected(rejection.reason)
    } catch is CancellationError {
      return .cancelled
    } catch let error as ObjectStoreError {
      return Task.isCancelled ? .cancelled : .rejected("it could not be stored: \(error)")
    } catch {
      return .rejected("\(error)")
    }
  }

  /// All files, with chunks that are in the store and were read back; rejected where anything changes meanwhile.
  private func stored() async throws -> ChunkedFiles {
    let before = try await Self.pool.run { try listing() }
    if before.isEmpty { throw Rejection(reason: "it holds no file") }
    guard Manifest(before.map { ManifestEntry(path: $0.key, size: $0.value.size, sha256: "") }) != nil else {
      throw Rejection(reason: "it has a file name that is no path")
    }
    let index = try await base.index(order, store)
    limiter.begins(before.values.reduce(.zero) { $0 + ByteCount($1.size) })
    let atOnce = min(Self.lanes, before.count)
    let files = try await withThrowingTaskGroup(of: ChunkedFile.self) { group in
      var files: [ChunkedFile] = []
      for (position, (name, status)) in before.sorted(by: { $0.key < $1.key }).enumerated() {
        if position >= atOnce, let file = try await group.next() { files.append(file) }
        group.addTask { try await store(name, status.size, index, lanes: Self.lanes / atOnce) }
      }
      for try await file in group { files.append(file) }
      return files
    }
    let after = try await Self.pool.run { try listing() }
    if let changed = Set(before.keys).union(after.keys).filter({ before[$0] != after[$0] }).min() {
      throw Rejection(reason: "\(changed) changed while it was stored")
    }
    guard let found = ChunkedFiles(files) else { throw Rejection(reason: "its files do not fit together") }
    return found
  }

  private func listing() throws -> [String: Disk.Status] {
    var found: [String: Disk.Status] = [:]
    func enter(_ below: String) throws {
      for name in try Disk.names(in: below.isEmpty ? path : "\(path)/\(below)") {
        let key = below.isEmpty ? name : "\(below)/\(name)"
        // A rank's part that is being written is no part yet.
        if checkpoint.layout == .sharded, below.isEmpty, name.hasSuffix(".tmp") { continue }
        guard let status = Disk.status("\(path)/\(key)") else { throw Rejection(reason: "\(key) vanished") }
        if status.isFolder {
          try enter(key)
        } else if status.isFile {
          found[key] = status
        } else {
          throw Rejection(reason: "\(key) is neither a file nor a folder: links cannot be stored")
        }
      }
    }
    try enter("")
    return found
  }

  /// Stores a file chunk by chunk, `lanes` of them at a time.
  private func store(_ name: String, _ size: Int64, _ index: ChunkIndex, lanes: Int) async throws -> ChunkedFile {
    try await withThrowingTaskGroup(of: (Int64, CheckpointChunk).self) { group in
      var chunks: [Int64: CheckpointChunk] = [:]
      for (count, offset) in stride(from: 0, to: size, by: Int64.Stride(chunkLength)).enumerated() {
        if count >= lanes, let (offset, chunk) = try await group.next() { chunks[offset] = chunk }
        group.addTask { (offset, try await store(name, offset..<min(size, offset + chunkLength), index)) }
      }
      for try await (offset, chunk) in group { chunks[offset] = chunk }
      let sorted = chunks.sorted { $0.key < $1.key }.map(\.value)
      return ChunkedFile(
        path: name, size: size, checksum: .ofChunks(sorted.map(\.sha256), length: chunkLength), chunks: sorted)
    }
  }

  private func hash(_ name: String, _ range: Range<Int64>) throws -> String {
    // Training reads its data from the same disk.
    let isGentle = limiter.isGentle && baton_set_io_idle(1) == 0
    defer { if isGentle { _ = baton_set_io_idle(0) } }
    let file = try Disk.open("\(path)/\(name)", O_RDONLY)
    let found = try ContentHash.of(file, range, path: name)
    guard found.size == range.count else { throw Rejection(reason: "\(name) changed while it was read") }
    return found.sha256
  }

  /// A chunk that is in the store: the base's where that is there, or else one of this checkpoint, read back.
  private func store(_ name: String, _ range: Range<Int64>, _ index: ChunkIndex) async throws -> CheckpointChunk {
    let size = Int64(range.count)
    // Hashing costs the program as well, also what need not be sent.
    try await limiter.admit(size)
    let sha256 = try await limiter.working { try await Self.pool.run { try hash(name, range) } }
    if let key = index.key(sha256: sha256, size: size) {
      // It was read back when it was committed.
      let found = try await limiter.working { try await patiently { try await store.head(key) } }
      if found?.size == size { return CheckpointChunk(key: key, size: size, sha256: sha256) }
    }
    let chunk = CheckpointChunk(
      key: ObjectLayout.chunk(checkpoint: prefix, sha256: sha256), size: size, sha256: sha256)
    guard taken.claim(chunk.key) else { return chunk }
    try await limiter.working {
      try await send(chunk, name, range)
      do {
        try await readBack(chunk)
      } catch let error as ObjectStoreError where error.code == .checksumMismatch {
        try await sendAgain(chunk, name, range)
      }
    }
    return chunk
  }

  /// Sends bytes as they are: they were hashed a moment ago, and will be read back.
  private func send(_ chunk: CheckpointChunk, _ name: String, _ range: Range<Int64>) async throws {
    let source = ObjectSource.hashed(path: "\(path)/\(name)", range, sha256: chunk.sha256)
    do {
      try await patiently { _ = try await store.put(chunk.key, from: source, sha256: chunk.sha256, replacing: false) }
    } catch let error as ObjectStoreError {
      switch error.code {
      case .exists: break  // From an earlier try, or of another node; what it is, is read now.
      case .checksumMismatch, .sourceUnreadable: throw changed(name)
      default: throw error
      }
    }
  }

  /// Replaces what a byte was turned over in on its way, so that what is stored is not what it is called.
  ///
  /// Nobody can refer to that: it was never right.
  private func sendAgain(_ chunk: CheckpointChunk, _ name: String, _ range: Range<Int64>) async throws {
    do {
      try await patiently {
        _ = try await store.put(
          chunk.key, from: .slice(path: "\(path)/\(name)", range), sha256: chunk.sha256, replacing: true)
      }
      try await readBack(chunk)
    } catch let error as ObjectStoreError {
      switch error.code {
      case .sourceUnreadable: throw changed(name)
      case .checksumMismatch:
        if try await Self.pool.run({ try hash(name, range) }) != chunk.sha256 { throw changed(name) }
        throw Rejection(reason: "the store holds other bytes as \(chunk.key), whatever it is sent")
      default: throw error
      }
    }
  }

  private func changed(_ name: String) -> Rejection { Rejection(reason: "\(name) changed while it was uploaded") }

  private func readBack(_ chunk: CheckpointChunk) async throws {
    try await patiently { try await verifyObject(store, key: chunk.key, size: chunk.size, sha256: chunk.sha256) }
  }

  /// Writes an object, unless there is one already; returns what is there.
  private func putOnce(_ key: String, _ bytes: [UInt8]) async throws -> [UInt8] {
    do {
      try await patiently { _ = try await store.put(key, from: .bytes(bytes), sha256: nil, replacing: false) }
    } catch let error as ObjectStoreError where error.code == .exists {}
    return try await patiently { try await store.bytes(key) }
  }

  /// Tries again what the store may do later, until the task is cancelled; and a few times what it refuses, or says is
  /// another content.
  ///
  /// A store that cannot look up whom to believe refuses for a moment, and a byte may turn over on its way: the checkpoint
  /// is not given up for that.
  private func patiently<Value: Sendable>(_ body: () async throws -> Value) async throws -> Value {
    var doubts = 0
    while true {
      do {
        return try await retrying(pacing: pacing, body)
      } catch let error as ObjectStoreError where error.isDoubtful && doubts < Self.doubts {
        doubts += 1
        try await pacing.sleep(StoreRetryPolicy().pause(afterFailure: doubts, random: pacing.random()))
      }
    }
  }

  private func mismatch(_ key: String) -> Rejection {
    Rejection(reason: "the store holds another \(key), and objects are written once")
  }

  /// The part that counts: where an earlier try wrote one of the same content, its chunks were read back then.
  private func putPart(_ own: CheckpointPart) async throws -> CheckpointPart {
    let key = ObjectLayout.part(checkpoint: prefix, nodeRank: order.nodeRank)
    let bytes = try own.encoded()
    let found = try await putOnce(key, bytes)
    if found == bytes { return own }
    guard let earlier = try? CheckpointPart(decoding: found), earlier.layout == own.layout, earlier.ranks == own.ranks,
      earlier.files.entries == own.files.entries
    else { throw mismatch(key) }
    return earlier
  }

  /// Writes the manifest if every rank's part is there.
  ///
  /// Of nodes that finish at the same time each sees all parts.
  private func commit(_ own: CheckpointPart) async throws -> Outcome {
    var parts = [own]
    if checkpoint.layout == .sharded {
      for node in order.nodeAddresses.indices where node != order.nodeRank {
        let key = ObjectLayout.part(checkpoint: prefix, nodeRank: node)
        guard try await patiently({ try await store.head(key) }) != nil else { return .partStored }
        parts.append(try CheckpointPart(decoding: try await patiently { try await store.bytes(key) }))
      }
    }
    guard
      let manifest = CheckpointManifest(
        run: order.job.run, number: order.number, step: checkpoint.step, worldSize: order.worldSize, parts: parts)
    else { throw Rejection(reason: "the parts of the nodes do not fit together") }
    return try await putManifest(manifest)
  }

  /// The last object; another node may have found the same content elsewhere, and been first.
  private func putManifest(_ manifest: CheckpointManifest) async throws -> Outcome {
    let key = ObjectLayout.manifest(checkpoint: prefix)
    let bytes = try manifest.encoded()
    let found = try await putOnce(key, bytes)
    if found != bytes {
      guard let other = try? CheckpointManifest(decoding: found), other.hasSameContent(as: manifest) else {
        throw mismatch(key)
      }
    }
    return .stored(prefix: prefix, manifestSHA256: ContentHash.of(found), bytes: manifest.files.total)
  }
}

extension ObjectStoreError {
  /// Whether it need not be so the next time, although the store is there.
  fileprivate var isDoubtful: Bool { code == .denied || code == .checksumMismatch }
}

/// Who is first to claim a name has it.
private final class Claims: Sendable {
  private let names = Mutex<Set<String>>([])

  func claim(_ name: String) -> Bool { names.withLock { $0.insert(name).inserted } }
}
