public import Domain

/// Removes what pruned checkpoints of one run left in a store, and no chunk that another checkpoint names.
///
/// Nodes go on writing meanwhile. A checkpoint refers only to chunks that its base names, which is the one that the node
/// stored before it, or that its attempt resumed from: so whatever is under way, or stored and not heard of yet, names
/// nothing but what lies in folders that are not pruned, or what some manifest that is read here names.
public struct CheckpointPruning: Sendable {
  private static let pageSize = 1000

  private let store: any ObjectStore
  private let run: RunID

  /// Of the checkpoints of `run`.
  public init(_ store: any ObjectStore, run: RunID) {
    self.store = store
    self.run = run
  }

  /// Removes all objects in the folders `pruned` that nobody names any more; those of earlier times, too.
  ///
  /// Every other folder below the run that has a manifest is kept, heard of or not, and so is all of `kept`. Manifests and
  /// parts of the pruned go first: a sweep that dies in between leaves waste, which the next one removes.
  /// - Throws: before anything is deleted, `CheckpointFault` where a manifest of `kept` is missing or cannot be read;
  ///   `ObjectStoreError`.
  /// - Returns: how many bytes the removed objects held.
  @discardableResult
  public func remove(pruned: Set<String>, kept: Set<String>) async throws -> ByteCount {
    let left = try await objects(in: pruned)
    guard !left.sizes.isEmpty else { return .zero }
    var named: Set<String> = []
    for prefix in left.manifests.union(kept).subtracting(pruned).sorted() {
      do {
        named.formUnion(try await manifest(prefix).files.keys)
      } catch is CheckpointFault where !kept.contains(prefix) {
        // Nobody can resume from it, and nothing is based on it: its node could not have read it either.
      }
    }
    let doomed = left.sizes.keys.filter { !named.contains($0) }.sorted()
    for key in doomed.filter(Self.isDescription) { try await store.delete(key) }
    for key in doomed where !Self.isDescription(key) { try await store.delete(key) }
    return doomed.reduce(.zero) { $0 + ByteCount(left.sizes[$1] ?? 0) }
  }

  /// The objects in the folders `pruned` with their lengths, and the folders below the run that have a manifest.
  private func objects(in pruned: Set<String>) async throws -> (sizes: [String: Int64], manifests: Set<String>) {
    var sizes: [String: Int64] = [:]
    var manifests: Set<String> = []
    var marker: String?
    repeat {
      let page = try await store.list(prefix: ObjectLayout.checkpoints(of: run), after: marker, limit: Self.pageSize)
      for entry in page.entries {
        guard let prefix = ObjectLayout.checkpoint(of: entry.key) else { continue }
        if pruned.contains(prefix) { sizes[entry.key] = entry.size }
        if entry.key == ObjectLayout.manifest(checkpoint: prefix) { manifests.insert(prefix) }
      }
      marker = page.next
    } while marker != nil
    return (sizes, manifests)
  }

  private func manifest(_ prefix: String) async throws -> CheckpointManifest {
    let bytes: [UInt8]
    do {
      bytes = try await store.bytes(ObjectLayout.manifest(checkpoint: prefix))
    } catch {
      guard error.code == .notFound else { throw error }
      throw CheckpointFault.missing(key: error.key)
    }
    do {
      return try CheckpointManifest(decoding: bytes)
    } catch {
      throw CheckpointFault.badManifest("\(prefix): \(error)")
    }
  }

  /// Whether an object says what a checkpoint is, and holds no byte of it.
  private static func isDescription(_ key: String) -> Bool {
    guard let prefix = ObjectLayout.checkpoint(of: key) else { return false }
    let name = key.dropFirst(prefix.count)
    return name == "manifest.json" || (name.hasPrefix("part-") && !name.contains("/"))
  }
}
