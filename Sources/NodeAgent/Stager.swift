import Domain
import Glibc
import ObjectStorage
import Synchronization
import Wire

extension StagingFailure: Error {}

/// Brings data sets and the checkpoint to resume from to the local disk, before any rank starts.
struct Stager: Sendable {
  var order: AttemptOrder
  var node: NodeFolder
  var folder: AttemptFolder
  var store: any ObjectStore
  /// Told how much is there, at most about once a second.
  var progress: @Sendable (_ done: ByteCount, _ total: ByteCount) -> Void

  static let parallel = 6
  static let pool = BlockingPool(label: "baton.staging", width: 8)

  /// The bytes that are in place when this returns; `StagingFailure` when they are not.
  func run() async throws -> ByteCount {
    do {
      return try await stage()
    } catch let failure as StagingFailure {
      throw failure
    } catch let error as ObjectStoreError {
      if error.code == .notFound { throw StagingFailure.missing(key: error.key) }
      throw StagingFailure.failed(error.description)
    } catch let error as SystemError where error.isOutOfSpace {
      throw StagingFailure.diskTooSmall(needed: needed([]), room: room())
    } catch {
      throw StagingFailure.failed("\(error)")
    }
  }

  private func stage() async throws -> ByteCount {
    var present: Set<String> = []
    for dataset in order.datasets where try await isPresent(dataset) { present.insert(dataset.contentID) }
    let needed = needed(present)
    let room = room()
    guard needed <= room else { throw StagingFailure.diskTooSmall(needed: needed, room: room) }
    let missing = order.datasets.filter { !present.contains($0.contentID) }
    let total = missing.reduce(order.resume?.total ?? .zero) { $0 + $1.total }
    let meter = ProgressMeter(total: total, report: progress)
    for dataset in missing { try await fetch(dataset, meter) }
    if let resume = order.resume { try await fetch(resume, meter) }
    try await Self.pool.run { try linkDatasets() }
    return order.datasets.reduce(order.resume?.total ?? .zero) { $0 + $1.total }
  }

  private func needed(_ present: Set<String>) -> ByteCount {
    let missing = order.datasets.filter { !present.contains($0.contentID) }
    return missing.reduce(order.reserve + (order.resume?.total ?? .zero)) { $0 + $1.total }
  }

  private func room() -> ByteCount { ByteCount((try? Disk.room(at: node.root).free) ?? 0) }

  /// Whether a replica is whole: by sizes where its marker is there, else by reading all of it.
  private func isPresent(_ dataset: DatasetOrder) async throws -> Bool {
    let path = node.replica(dataset.contentID)
    let marker = node.replicaMarker(dataset.contentID)
    guard Disk.status(path)?.isFolder == true else { return false }
    if let bytes = try? Disk.readAll(marker), let manifest = try? Codec.decode(Manifest.self, bytes) {
      return await Self.pool.run {
        manifest.entries.allSatisfy { Disk.status("\(path)/\($0.path)")?.size == $0.size }
      }
    }
    let manifest = try await manifest(of: dataset)
    let isWhole = await Self.pool.run {
      manifest.entries.allSatisfy { entry in
        (try? ContentHash.of(file: "\(path)/\(entry.path)")).map { $0.sha256 == entry.sha256 } ?? false
      }
    }
    if isWhole {
      try await Self.pool.run { try Disk.writeAtomically(try Codec.line(manifest), to: marker, mode: 0o644) }
    }
    return isWhole
  }

  private func manifest(of dataset: DatasetOrder) async throws -> Manifest {
    let bytes = try await retrying(tries: 6) { try await store.bytes(dataset.manifestKey) }
    guard let manifest = try? Codec.decode(Manifest.self, bytes),
      ContentHash.of(Array(manifest.canonicalText.utf8)) == dataset.contentID
    else { throw StagingFailure.corrupt(key: dataset.manifestKey) }
    return manifest
  }

  /// Downloads a data set into its partial folder and publishes it; what an earlier try left there is used.
  private func fetch(_ dataset: DatasetOrder, _ meter: ProgressMeter) async throws {
    let lock = node.datasets + "/.lock-\(dataset.contentID)"
    let held = try await LockHolder.hold(lock)
    defer { held.release() }
    // Another attempt may have published it while this one waited.
    if try await isPresent(dataset) {
      meter.add(dataset.total.bytes)
      return
    }
    let manifest = try await manifest(of: dataset)
    let partial = node.partialReplica(dataset.contentID)
    let final = node.replica(dataset.contentID)
    let marker = node.replicaMarker(dataset.contentID)
    let items = manifest.entries.map { entry in
      Item(
        key: ObjectLayout.blob(sha256: entry.sha256), path: "\(partial)/\(entry.path)", size: entry.size,
        sha256: entry.sha256)
    }
    try await Self.pool.run {
      try Disk.removeTree(marker)
      if Disk.status(final) != nil {
        // A damaged replica: what is good of it need not come again.
        try Disk.removeTree(partial)
        try Disk.move(final, to: partial)
      }
      try Disk.makeFolders(partial)
    }
    try await fetch(items, meter)
    try await Self.pool.run {
      for item in items { chmod(item.path, 0o444) }
      try Disk.synchronizeTree(partial)
      try Disk.move(partial, to: final)
      try Disk.synchronize(folder: node.datasets)
      try Disk.writeAtomically(try Codec.line(manifest), to: marker, mode: 0o644)
    }
  }

  private func fetch(_ resume: ResumeOrder, _ meter: ProgressMeter) async throws {
    let key = ObjectLayout.manifest(checkpoint: resume.prefix)
    let bytes = try await retrying(tries: 6) { try await store.bytes(key) }
    guard ContentHash.of(bytes) == resume.manifestSHA256, let manifest = try? CheckpointManifest(decoding: bytes) else {
      throw StagingFailure.corrupt(key: key)
    }
    let target = "\(folder.resume)/step-\(resume.step)"
    let items = manifest.files.entries.map { entry in
      Item(
        key: ObjectLayout.data(checkpoint: resume.prefix, path: entry.path), path: "\(target)/\(entry.path)",
        size: entry.size, sha256: entry.sha256)
    }
    try await Self.pool.run { try Disk.makeFolders(target) }
    try await fetch(items, meter)
  }

  /// One object and the file it becomes.
  private struct Item: Sendable {
    var key: String
    var path: String
    var size: Int64
    var sha256: String
  }

  private func fetch(_ items: [Item], _ meter: ProgressMeter) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (index, item) in items.enumerated() {
        if index >= Self.parallel { try await group.next() }
        group.addTask { try await fetch(item, meter) }
      }
      try await group.waitForAll()
    }
  }

  private func fetch(_ item: Item, _ meter: ProgressMeter) async throws {
    let isThere = await Self.pool.run {
      Disk.status(item.path)?.size == item.size && (try? ContentHash.of(file: item.path).sha256) == item.sha256
    }
    if isThere {
      meter.add(item.size)
      return
    }
    for _ in 1...2 {
      let isRight = try await retrying(tries: 6) { try await download(item) }
      if isRight {
        meter.add(item.size)
        return
      }
    }
    throw StagingFailure.corrupt(key: item.key)
  }

  /// Writes the object to its file; false, and no file, where the content is not what it should be.
  private func download(_ item: Item) async throws -> Bool {
    let temporary = item.path + ".part"
    let writer = try await Self.pool.run {
      try Disk.makeFolders(Disk.parent(of: item.path))
      try Disk.removeTree(item.path)
      try Disk.removeTree(temporary)
      return try PieceWriter(temporary)
    }
    let measure = ContentMeasure()
    do {
      try await store.get(item.key) { piece in
        measure.add(piece)
        try await Self.pool.run { try writer.write(piece) }
      }
    } catch let error as ObjectStoreError where error.code == .checksumMismatch {
      try await Self.pool.run { try Disk.removeTree(temporary) }
      return false
    }
    let found = measure.result
    return try await Self.pool.run {
      guard found.sha256 == item.sha256, found.size == item.size else {
        try Disk.removeTree(temporary)
        return false
      }
      try Disk.move(temporary, to: item.path)
      return true
    }
  }

  /// With several data sets, a folder with a link to each.
  private func linkDatasets() throws {
    guard order.datasets.count > 1 else { return }
    try Disk.makeFolders(folder.data)
    for dataset in order.datasets {
      let link = "\(folder.data)/\(dataset.name.replacing("/", with: "_"))"
      try Disk.removeTree(link)
      if symlink(node.replica(dataset.contentID), link) != 0 { throw SystemError("cannot link", link, errno: errno) }
    }
  }
}

/// A file that pieces are appended to, one call at a time.
private final class PieceWriter: Sendable {
  private let file: Descriptor
  private let path: String

  init(_ path: String) throws(SystemError) {
    self.path = path
    file = try Disk.open(path, O_WRONLY | O_CREAT | O_TRUNC)
  }

  func write(_ piece: [UInt8]) throws(SystemError) { try Disk.write(piece, to: file, path: path) }
}

/// Holds a `FileLock` across `await`s: a thread of its own waits for it, however long another attempt takes.
private final class LockHolder: Sendable {
  private let file: Descriptor
  private static let pool = BlockingPool(label: "baton.locks", width: 16)

  private init(_ path: String) throws(SystemError) {
    file = try Disk.open(path, O_RDWR | O_CREAT)
    while flock(file.raw, LOCK_EX) != 0 {
      if errno != EINTR { throw SystemError("cannot lock", path, errno: errno) }
    }
  }

  static func hold(_ path: String) async throws(SystemError) -> LockHolder {
    try await pool.run { () throws(SystemError) in try LockHolder(path) }
  }

  func release() { flock(file.raw, LOCK_UN) }
}

/// Adds up what is there, and reports at most once a second.
private final class ProgressMeter: Sendable {
  private struct State {
    var done: Int64 = 0
    var last = BootInstant.now()
  }

  private let state = Mutex(State())
  private let total: ByteCount
  private let report: @Sendable (ByteCount, ByteCount) -> Void

  init(total: ByteCount, report: @escaping @Sendable (ByteCount, ByteCount) -> Void) {
    self.total = total
    self.report = report
  }

  func add(_ bytes: Int64) {
    let done: Int64? = state.withLock { state in
      state.done += bytes
      guard BootInstant.now() - state.last >= .seconds(1) else { return nil }
      state.last = .now()
      return state.done
    }
    if let done { report(ByteCount(done), total) }
  }
}

extension Disk {
  /// Brings all files and names below a folder to the disk.
  static func synchronizeTree(_ path: String) throws(SystemError) {
    for name in try names(in: path) {
      let child = "\(path)/\(name)"
      if status(child)?.isFolder == true {
        try synchronizeTree(child)
      } else {
        try synchronize(try open(child, O_RDONLY), path: child)
      }
    }
    try synchronize(folder: path)
  }
}
