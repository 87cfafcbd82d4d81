import Domain
import Foundation
import ObjectStorage
import Synchronization
import TestKit
import Testing
import Wire

@testable import NodeAgent

/// A scratch folder with a store that counts, and nodes that stage in this process.
final class StagingFixture {
  let scratch: String
  let store: CountingStore
  private var exchanges: [Exchange] = []

  private init() throws {
    scratch = FileManager.default.temporaryDirectory.appendingPathComponent("baton-stage-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: scratch, withIntermediateDirectories: true)
    store = CountingStore(try FileObjectStore.creating(root: scratch + "/store"))
  }

  static func with(_ body: (StagingFixture) async throws -> Void) async throws {
    let fixture = try StagingFixture()
    let result: Result<Void, any Error>
    do {
      try await body(fixture)
      result = .success(())
    } catch {
      result = .failure(error)
    }
    for exchange in fixture.exchanges { exchange.close() }
    try FileManager.default.removeItem(atPath: fixture.scratch)
    try result.get()
  }

  func node(_ name: String = "node") throws -> NodeFolder { try NodeFolder(making: "\(scratch)/\(name)") }

  /// Puts files and their manifest into the store.
  func dataset(_ name: String, _ files: [String: [UInt8]], mode: StagingMode = .copy) async throws -> DatasetOrder {
    var entries: [ManifestEntry] = []
    for (path, bytes) in files {
      let sha256 = ContentHash.of(bytes)
      try await store.base.put(ObjectLayout.blob(sha256: sha256), from: .bytes(bytes))
      entries.append(ManifestEntry(path: path, size: Int64(bytes.count), sha256: sha256))
    }
    let manifest = try #require(Manifest(entries))
    let id = ContentHash.of(Array(manifest.canonicalText.utf8))
    let key = ObjectLayout.datasetManifest(contentID: id)
    try await store.base.put(key, from: .bytes(Array(try JSONEncoder().encode(manifest))))
    return DatasetOrder(
      id: DatasetVersionID(1), name: name, contentID: id, manifestKey: key, total: manifest.total, mode: mode)
  }

  /// A few large files, some that are just at the edge of a piece, many small ones, and an empty one.
  static func files(seed: UInt64, pieceSize: Int, large: Int = 3, small: Int = 40) -> [String: [UInt8]] {
    var chance = SeededGenerator(seed: seed)
    var files: [String: [UInt8]] = ["empty": []]
    func bytes(_ count: Int) -> [UInt8] {
      var bytes: [UInt8] = []
      bytes.reserveCapacity(count + 8)
      while bytes.count < count { withUnsafeBytes(of: chance.next()) { bytes += $0 } }
      return Array(bytes.prefix(count))
    }
    for index in 0..<large { files["large/\(index)"] = bytes(pieceSize * 3 + chance.int(0...pieceSize * 5)) }
    files["edge/one"] = bytes(pieceSize)
    files["edge/more"] = bytes(pieceSize + 1)
    files["edge/less"] = bytes(pieceSize - 1)
    for index in 0..<small { files["small/\(index)"] = bytes(chance.int(1...pieceSize / 8)) }
    return files
  }

  /// Exchanges of `count` nodes that know each other.
  func exchanges(
    _ count: Int, keys: [String]? = nil, holders: HoldersOrder? = nil, answerLimit: TimeSpan = .seconds(60)
  ) throws -> [Exchange] {
    let addresses = (0..<count).map { "127.0.0.\($0 + 1)" }
    let made = try (0..<count).map { rank in
      try Exchange(
        ExchangeOrder(key: keys?[rank] ?? String(repeating: "5a", count: 32)), rank: rank, addresses: addresses,
        holders: holders, answerLimit: answerLimit)
    }
    exchanges += made
    for exchange in made { exchange.peersServe(on: made.map(\.port)) }
    return made
  }

  /// What `files` are below a folder, and nothing else is.
  func expect(_ files: [String: [UInt8]], in folder: String) throws {
    var found: Set<String> = []
    for case let path as String in try #require(FileManager.default.enumerator(atPath: folder)) {
      var isFolder: ObjCBool = false
      _ = FileManager.default.fileExists(atPath: "\(folder)/\(path)", isDirectory: &isFolder)
      if !isFolder.boolValue { found.insert(path) }
    }
    #expect(found == Set(files.keys))
    for (path, bytes) in files {
      let isSame = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(path)")) == Data(bytes)
      #expect(isSame, "\(path)")
    }
  }
}

/// A store that counts what is read of blobs and what is put, and does what a test wants before that.
final class CountingStore: ObjectStore {
  struct Reading: Hashable, Sendable {
    var key: String
    var range: Range<Int64>
  }

  /// What is asked of an object.
  enum Access: Hashable, Sendable {
    case put(String), get(String)
  }

  let base: FileObjectStore
  private let state = Mutex<[Reading]>([])
  private let hook = Mutex<(@Sendable (Reading) async throws -> Void)?>(nil)
  private let putState = Mutex<[String: Int64]>([:])
  private let putHook = Mutex<(@Sendable (String) async -> Void)?>(nil)
  private let refusal = Mutex<(@Sendable (Access) -> ObjectStoreError.Code?)?>(nil)

  init(_ base: FileObjectStore) { self.base = base }

  /// What was read of blobs.
  var readings: [Reading] { state.withLock { $0 } }
  var bytesRead: Int64 { readings.reduce(0) { $0 + Int64($1.range.count) } }

  /// What was put and not there before: lengths by key.
  var puts: [String: Int64] { putState.withLock { $0 } }

  func forgetPuts() { putState.withLock { $0 = [:] } }

  /// Called before each put with its key.
  func beforePut(_ body: (@Sendable (String) async -> Void)?) { putHook.withLock { $0 = body } }

  /// Asked before each put, and each reading of what is no blob; refuses it with what is returned.
  func refuse(_ body: (@Sendable (Access) -> ObjectStoreError.Code?)?) { refusal.withLock { $0 = body } }

  private func check(_ access: Access, _ key: String) throws(ObjectStoreError) {
    guard let code = refusal.withLock({ $0 })?(access) else { return }
    throw ObjectStoreError(code, key: key, reason: "a bad day")
  }

  func forget() { state.withLock { $0 = [] } }

  /// Called before each reading of a blob.
  func before(_ body: (@Sendable (Reading) async throws -> Void)?) { hook.withLock { $0 = body } }

  func get(
    _ key: String, range: Range<Int64>?, ifTag: String?, _ receive: @Sendable ([UInt8]) async throws -> Void
  ) async throws {
    guard key.hasPrefix("blobs/") else {
      try check(.get(key), key)
      return try await base.get(key, range: range, ifTag: ifTag, receive)
    }
    var whole: Range<Int64> = 0..<0
    if range == nil { whole = 0..<(try await base.head(key)?.size ?? 0) }
    let reading = Reading(key: key, range: range ?? whole)
    if let hook = hook.withLock({ $0 }) { try await hook(reading) }
    try await base.get(key, range: range, ifTag: ifTag, receive)
    state.withLock { $0.append(reading) }
  }

  func put(
    _ key: String, from source: ObjectSource, sha256: String?, replacing: Bool
  ) async throws(ObjectStoreError) -> ObjectInfo {
    if let hook = putHook.withLock({ $0 }) { await hook(key) }
    try check(.put(key), key)
    let info = try await base.put(key, from: source, sha256: sha256, replacing: replacing)
    putState.withLock { $0[key] = info.size }
    return info
  }
  func head(_ key: String) async throws(ObjectStoreError) -> ObjectInfo? { try await base.head(key) }
  func list(prefix: String, after marker: String?, limit: Int) async throws(ObjectStoreError) -> ObjectPage {
    try await base.list(prefix: prefix, after: marker, limit: limit)
  }
  func delete(_ key: String) async throws(ObjectStoreError) { try await base.delete(key) }
  func beginUpload(_ key: String, sha256: String?) async throws(ObjectStoreError) -> PartedUpload {
    try await base.beginUpload(key, sha256: sha256)
  }
  func uploadPart(
    _ upload: PartedUpload, number: Int, from source: ObjectSource
  ) async throws(ObjectStoreError) -> UploadedPart {
    try await base.uploadPart(upload, number: number, from: source)
  }
  func completeUpload(
    _ upload: PartedUpload, parts: [UploadedPart], replacing: Bool
  ) async throws(ObjectStoreError) -> ObjectInfo {
    try await base.completeUpload(upload, parts: parts, replacing: replacing)
  }
  func abortUpload(_ upload: PartedUpload) async throws(ObjectStoreError) { try await base.abortUpload(upload) }
  func delegate(read: [String], write: [String], until: Timestamp) async throws(ObjectStoreError) -> StoreAccess {
    try await base.delegate(read: read, write: write, until: until)
  }
}

/// What a stager said.
final class News: Sendable {
  private let state = Mutex<[AgentEvent]>([])

  var events: [AgentEvent] { state.withLock { $0 } }
  var distrusted: [Int] {
    events.compactMap { if case .peerDistrusted(let rank, _, _) = $0 { rank } else { nil } }
  }
  var evicted: [String] { events.compactMap { if case .evicted(let name, _) = $0 { name } else { nil } } }

  func add(_ event: AgentEvent) { state.withLock { $0.append(event) } }
}
