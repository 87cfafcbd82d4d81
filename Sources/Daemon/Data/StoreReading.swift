import Domain
import Foundation
import ObjectStorage
import Store
import Synchronization
import Wire

/// Reads back what a version is staged from: its tar shards where it is packed, else its objects, wherever they are.
struct StoreReading: Sendable {
  private static let lanes = 8

  let services: Services
  let version: DatasetVersionRecord

  /// Reads all of it, and names what is damaged, replaced or missing.
  ///
  /// Throws where the store does not answer: then nothing is known.
  func run(progress: @escaping @Sendable (DataProgress) async -> Void) async throws -> DataVerification.Place {
    let (entries, store, key) = try await objects()
    let total = entries.reduce(ByteCount.zero) { $0 + ByteCount($1.size) }
    let tally = Tally(total: total)
    let damaged = try await withThrowingTaskGroup(of: String?.self) { group in
      var damaged: [String] = []
      for (index, entry) in entries.enumerated() {
        if index >= Self.lanes, case .some(.some(let found)) = try await group.next() { damaged.append(found) }
        group.addTask {
          let fault = try await fault(in: entry, store, key(entry))
          await progress(tally.add(entry))
          return fault
        }
      }
      for try await found in group { if let found { damaged.append(found) } }
      return damaged
    }
    return .init(node: nil, files: entries.count, bytes: total, damaged: damaged.sorted())
  }

  /// What was read so far.
  private final class Tally: Sendable {
    private let progress: Mutex<DataProgress>

    init(total: ByteCount) { progress = Mutex(DataProgress(objects: 0, total: total)) }

    func add(_ entry: ManifestEntry) -> DataProgress {
      progress.withLock { progress in
        progress.objects = (progress.objects ?? 0) + 1
        progress.done = progress.done + ByteCount(entry.size)
        return progress
      }
    }
  }

  private typealias Key = @Sendable (ManifestEntry) -> String

  private func objects() async throws -> (entries: [ManifestEntry], store: any ObjectStore, key: Key) {
    let blob: Key = { ObjectLayout.blob(sha256: $0.sha256) }
    if let pack = version.pack {
      let bytes = try await services.objects.bytes(pack.key, limit: 1 << 30)
      guard let manifest = try? JSONDecoder().decode(PackManifest.self, from: Data(bytes)),
        manifest.contentID == version.contentID
      else { throw APIFailure(.unavailable, "the description of its shards, \(pack.key), is damaged") }
      return (manifest.shards.flatMap { [$0.tar, $0.index] }, services.objects, blob)
    }
    let registration = DatasetRegistration(services: services, project: version.project, actor: .admin)
    let entries = try await registration.manifest(of: version).entries
    guard let origin = version.origin else { return (entries, services.objects, blob) }
    return (entries, try services.sources.store(of: origin), { $0.path })
  }

  private func fault(in entry: ManifestEntry, _ store: any ObjectStore, _ key: String) async throws -> String? {
    do {
      try await verifyObject(store, key: key, entry: entry)
      return nil
    } catch let error as ObjectStoreError {
      switch error.code {
      case .notFound: return "\(entry.path): it is missing"
      case .changed: return "\(entry.path): it was replaced since it was added"
      case .checksumMismatch: return "\(entry.path): it is not what it was"
      default: throw error
      }
    }
  }
}
