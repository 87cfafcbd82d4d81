import Domain
import ObjectStorage
import Synchronization
import Wire

/// What the next checkpoint need not send: the chunks of the one that this node stored last, or of the one it resumed from.
///
/// Nothing else may be named. A sweep removes no chunk of the newest checkpoint that it knows, nor of what a live attempt
/// resumed from; whatever this node stored after that is named by itself, or lies where no sweep removes anything yet. An
/// older one of this node's may be gone.
final class CheckpointBase: Sendable {
  private let known = Mutex<ChunkIndex?>(nil)

  /// From now on it is what holds `files`.
  func isNow(_ files: ChunkedFiles) { known.withLock { $0 = ChunkIndex(files) } }

  /// The chunks that may be named; read from the store where nothing was stored yet.
  ///
  /// A resumed checkpoint that cannot be read, or is of another run, whose sweeps know nothing of this one, is no base.
  func index(_ order: AttemptOrder, _ store: any ObjectStore) async throws -> ChunkIndex {
    if let index = known.withLock({ $0 }) { return index }
    let found = try await resumed(order, store)
    known.withLock { $0 = $0 ?? found }
    return found
  }

  private func resumed(_ order: AttemptOrder, _ store: any ObjectStore) async throws -> ChunkIndex {
    guard let resume = order.resume, ObjectLayout.parseCheckpoint(prefix: resume.prefix)?.run == order.job.run else {
      return ChunkIndex()
    }
    do {
      let bytes = try await retrying { try await store.bytes(ObjectLayout.manifest(checkpoint: resume.prefix)) }
      guard ContentHash.of(bytes) == resume.manifestSHA256 else { return ChunkIndex() }
      return ChunkIndex(try CheckpointManifest(decoding: bytes).files)
    } catch is DecodingError {
      return ChunkIndex()
    } catch let error as ObjectStoreError where !error.isWorthRetrying {
      return ChunkIndex()
    }
  }
}
