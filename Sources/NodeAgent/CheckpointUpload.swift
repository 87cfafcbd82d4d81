import Domain
import Glibc
import ObjectStorage
import Wire

/// Brings one local checkpoint into the store, as a commit: files, read back, part, and the manifest last.
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
  /// It is not worth it once one of these newer steps is whole.
  var newer: [Int] = []

  static let pool = BlockingPool(label: "baton.checkpoints", width: 4)

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
        if try await retrying({ try await store.head(key) }) != nil { return .cancelled }
      }
      let files = try await Self.pool.run { try hashed() }
      try await upload(files)
      let part = CheckpointPart(
        nodeRank: order.nodeRank, layout: checkpoint.layout, ranks: checkpoint.ranks, files: files)
      try await putOnce(ObjectLayout.part(checkpoint: prefix, nodeRank: order.nodeRank), try part.encoded())
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

  /// All files with their hashes; rejected where anything changes meanwhile.
  private func hashed() throws -> Manifest {
    let before = try listing()
    if before.isEmpty { throw Rejection(reason: "it holds no file") }
    var entries: [ManifestEntry] = []
    for (name, status) in before.sorted(by: { $0.key < $1.key }) {
      let found = try ContentHash.of(file: "\(path)/\(name)")
      if found.size != status.size { throw Rejection(reason: "\(name) changed while it was read") }
      entries.append(ManifestEntry(path: name, size: found.size, sha256: found.sha256))
    }
    let after = try listing()
    if let changed = Set(before.keys).union(after.keys).filter({ before[$0] != after[$0] }).min() {
      throw Rejection(reason: "\(changed) changed while it was read")
    }
    guard let manifest = Manifest(entries) else { throw Rejection(reason: "it has a file name that is no path") }
    return manifest
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

  private func upload(_ files: Manifest) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (index, entry) in files.entries.enumerated() {
        if index >= 4 { try await group.next() }
        group.addTask { try await upload(entry) }
      }
      try await group.waitForAll()
    }
  }

  private func upload(_ entry: ManifestEntry) async throws {
    let key = ObjectLayout.data(checkpoint: prefix, path: entry.path)
    do {
      try await retrying {
        _ = try await store.put(
          key, from: .file(path: "\(path)/\(entry.path)"), sha256: entry.sha256, replacing: false)
      }
    } catch let error as ObjectStoreError {
      switch error.code {
      case .exists: break  // From an earlier try, or another node's copy of the same; what it is, is read below.
      case .checksumMismatch, .sourceUnreadable:
        throw Rejection(reason: "\(entry.path) changed while it was uploaded")
      default: throw error
      }
    }
    do {
      try await retrying { try await verifyObject(store, key: key, size: entry.size, sha256: entry.sha256) }
    } catch let error as ObjectStoreError where error.code == .checksumMismatch {
      throw Rejection(reason: "the store holds another content of \(entry.path), and objects are written once")
    }
  }

  /// Writes an object that has the same bytes whoever writes it.
  private func putOnce(_ key: String, _ bytes: [UInt8]) async throws {
    do {
      try await retrying { _ = try await store.put(key, from: .bytes(bytes), sha256: nil, replacing: false) }
    } catch let error as ObjectStoreError where error.code == .exists {}
    let found = try await retrying { try await store.bytes(key) }
    if found != bytes { throw Rejection(reason: "the store holds another \(key), and objects are written once") }
  }

  /// Writes the manifest if every rank's part is there.
  ///
  /// Of nodes that finish at the same time each sees all parts.
  private func commit(_ own: CheckpointPart) async throws -> Outcome {
    var parts = [own]
    if checkpoint.layout == .sharded {
      for node in order.nodeAddresses.indices where node != order.nodeRank {
        let key = ObjectLayout.part(checkpoint: prefix, nodeRank: node)
        guard try await retrying({ try await store.head(key) }) != nil else { return .partStored }
        parts.append(try CheckpointPart(decoding: try await retrying { try await store.bytes(key) }))
      }
    }
    guard
      let manifest = CheckpointManifest(
        run: order.job.run, number: order.number, step: checkpoint.step, worldSize: order.worldSize, parts: parts)
    else { throw Rejection(reason: "the parts of the nodes do not fit together") }
    let bytes = try manifest.encoded()
    try await putOnce(ObjectLayout.manifest(checkpoint: prefix), bytes)
    return .stored(prefix: prefix, manifestSHA256: ContentHash.of(bytes), bytes: manifest.files.total)
  }
}
