import Domain
import Foundation
import ObjectStorage
import Store
import Synchronization
import Wire

/// Writes a data set version as tar shards into Baton's own store, once.
///
/// A request does it, in whatever process serves that, under a lock of the database, so that nobody else packs the same
/// version meanwhile. Shards are made one after the other, each is noted in the store when it is there, and whoever begins
/// again goes on behind the last one. The version is packed when the database says so, after all of it is in place.
struct Packer: Sendable {
  /// About how large a shard becomes, where nobody says.
  static let shardBytes = ByteCount.mebibytes(256)
  /// How large one may be asked for.
  static let shardBytesRange = Int64(1 << 20)...Int64(4 << 30)

  let services: Services
  let version: DatasetVersionRecord
  let shardBytes: ByteCount
  let actor: Actor

  /// What of the shards is in the store already.
  private struct Done: Codable {
    var shardBytes: ByteCount
    var shards: [PackManifest.Shard]
  }

  /// Packs, or finds that it was packed.
  ///
  /// Throws `.wrongState` where somebody else packs it, and names the object where one is not what it was. Cancelling it
  /// keeps the shards that are whole.
  func run(progress: @Sendable (DataProgress) async -> Void) async throws -> PackView {
    if let known = try await known() { return known }
    let view = try await services.store.packing(version.id) {
      // Whoever had the lock before may have done it.
      if let known = try await known() { return known }
      return try await pack(progress)
    }
    guard let view else {
      throw APIFailure(.wrongState, "\(title) is being packed already: wait for that, it goes on by itself")
    }
    return view
  }

  private var title: String { "\(version.name) version \(version.version)" }

  private func known() async throws -> PackView? {
    guard var view = PackView(try await services.store.datasetVersion(version.id)) else { return nil }
    view.existed = true
    return view
  }

  private func pack(_ progress: @Sendable (DataProgress) async -> Void) async throws -> PackView {
    let registration = DatasetRegistration(services: services, project: version.project, actor: actor)
    let plan = ShardPlan(try await registration.manifest(of: version), shardBytes: shardBytes)
    let shards = try await shards(of: plan, progress)
    let key = ObjectLayout.pack(contentID: version.contentID)
    try await put(PackManifest(contentID: version.contentID, shards: shards), at: key)
    let size = shards.reduce(ByteCount.zero) { $0 + ByteCount($1.tar.size + $1.index.size) }
    _ = try await services.store.setPack(
      DatasetPack(key: key, shards: shards.count, size: size), of: version, by: actor)
    try await services.objects.delete(ObjectLayout.packing(contentID: version.contentID))
    guard let view = PackView(try await services.store.datasetVersion(version.id)) else {
      throw APIFailure(.internal, "\(title) was packed, and the database does not say so")
    }
    return view
  }

  /// All shards, in the store: those that are there from before, and the others.
  private func shards(
    of plan: ShardPlan, _ progress: @Sendable (DataProgress) async -> Void
  ) async throws -> [PackManifest.Shard] {
    let builder = try builder()
    var done = try await shardsInPlace(of: plan)
    let before = done.shards.indices.reduce(ByteCount.zero) { $0 + Self.size(of: plan.shards[$1]) }
    let meter = Meter(total: version.size, before: before)
    await progress(meter.report(shards: done.shards.count))
    for number in plan.shards.indices.dropFirst(done.shards.count) {
      let shard = try await write(number, plan.shards[number], builder) { count in
        await progress(meter.adding(count, shards: number))
      }
      done.shards.append(shard)
      try await put(done, at: ObjectLayout.packing(contentID: version.contentID))
    }
    return done.shards
  }

  private func builder() throws -> ShardBuilder {
    guard let origin = version.origin else {
      return ShardBuilder(store: services.objects) { ObjectLayout.blob(sha256: $0.sha256) }
    }
    return ShardBuilder(store: try services.sources.store(of: origin)) { $0.path }
  }

  /// The shards that an earlier try has put into the store, as far as they are still there.
  private func shardsInPlace(of plan: ShardPlan) async throws -> Done {
    var done = Done(shardBytes: shardBytes, shards: [])
    let key = ObjectLayout.packing(contentID: version.contentID)
    guard try await services.objects.head(key) != nil else { return done }
    let bytes = try await services.objects.bytes(key)
    // A note that cannot be understood is none: its shards are built again, under the same names.
    guard let found = try? JSONDecoder().decode(Done.self, from: Data(bytes)),
      found.shardBytes == shardBytes, found.shards.count <= plan.shards.count
    else { return done }
    for shard in found.shards {
      for file in [shard.tar, shard.index] {
        guard try await services.objects.head(ObjectLayout.blob(sha256: file.sha256))?.size == file.size else {
          return done
        }
      }
      done.shards.append(shard)
    }
    return done
  }

  /// Builds a shard on this machine's disk, and sends it and its index.
  private func write(
    _ number: Int, _ entries: [ManifestEntry], _ builder: ShardBuilder, progress: (Int64) async -> Void
  ) async throws -> PackManifest.Shard {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("baton-\(UUID().uuidString).tar").path
    defer { unlink(path) }
    let index: ShardIndex
    do {
      index = try await builder.build(entries, at: path, progress: progress)
    } catch let error as ObjectStoreError where [.changed, .checksumMismatch, .notFound].contains(error.code) {
      throw APIFailure(
        .wrongState,
        "\(title) cannot be packed, since an object of it is not what it was: \(error). "
          + "Add the data set again, which makes a version of what is there now")
    }
    let name = "shard-" + String(repeating: "0", count: max(0, 6 - "\(number)".count)) + "\(number)"
    let text = Array(index.text.utf8)
    return PackManifest.Shard(
      tar: try await send(.file(path: path), as: name + ".tar"),
      index: try await send(.bytes(text), as: name + ".idx"))
  }

  private func send(_ source: ObjectSource, as name: String) async throws -> ManifestEntry {
    let (sha256, size) = try await source.measured()
    let key = ObjectLayout.blob(sha256: sha256)
    if try await services.objects.head(key)?.size != size {
      try await services.objects.put(key, from: source, sha256: sha256)
    }
    return ManifestEntry(path: name, size: size, sha256: sha256)
  }

  private func put(_ value: some Encodable, at key: String) async throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    try await services.objects.put(key, from: .bytes(Array(try encoder.encode(value))))
  }

  private static func size(of entries: [ManifestEntry]) -> ByteCount {
    entries.reduce(.zero) { $0 + ByteCount($1.size) }
  }
}

/// Counts what is packed.
private final class Meter: Sendable {
  private let total: ByteCount
  private let before: ByteCount
  private let started = ContinuousClock.now
  private let bytes: Mutex<ByteCount>

  init(total: ByteCount, before: ByteCount) {
    self.total = total
    self.before = before
    bytes = Mutex(before)
  }

  /// `count` more bytes are in a shard.
  func adding(_ count: Int64, shards: Int) -> DataProgress {
    bytes.withLock { $0 = $0 + ByteCount(count) }
    return report(shards: shards)
  }

  func report(shards: Int) -> DataProgress {
    DataProgress(
      objects: shards, done: bytes.withLock { $0 }, total: total, since: before,
      elapsed: .seconds((ContinuousClock.now - started) / .seconds(1)))
  }
}

extension PackView {
  /// How a version is packed; nil where it is not.
  init?(_ version: DatasetVersionRecord) {
    guard let pack = version.pack, let packed = version.packed else { return nil }
    self.init(shards: pack.shards, bytes: pack.size, by: packed.by, at: packed.at)
  }
}

extension DataProgress {
  /// So far it is, `elapsed` after `before` was done: with the rate since then, and what is left at that.
  init(objects: Int, done: ByteCount, total: ByteCount, since before: ByteCount, elapsed: TimeSpan) {
    self.init(objects: objects, done: done, total: total)
    guard elapsed.seconds >= 1 else { return }
    let rate = Double((done - before).bytes) / elapsed.seconds
    self.rate = ByteCount(Int64(rate))
    if rate >= 1 { eta = .seconds(Double((total - done).bytes) / rate) }
  }
}
