import CLinux
import Domain
import Glibc
import ObjectStorage
import Wire

/// What of a data set a folder below `datasets/` holds, and how the folder is called.
struct ReplicaName: Hashable, Sendable {
  var contentID: String
  var mode: StagingMode
  /// Which share of how many, where it is one.
  var share: ReplicaReport.Share?
  /// Whether a share is every N-th shard of a packed version, and not every N-th file.
  var isOfPack = false

  /// What `order` asks of node `rank` of `count`.
  init(_ order: DatasetOrder, rank: Int, count: Int) {
    contentID = order.contentID
    mode = order.mode
    share = order.mode == .shard ? .init(index: rank, count: count) : nil
    isOfPack = order.mode == .shard && order.packKey != nil
  }

  /// Reads a folder's name; nil for one that is none.
  init?(folder: String) {
    let words = folder.split(separator: "-", omittingEmptySubsequences: false)
    guard let first = words.first, first.count == 64 else { return nil }
    contentID = String(first)
    switch words.count {
    case 1: mode = .copy
    case 2 where words[1] == "shards": mode = .shards
    case 5 where words[1] == "shard" && words[3] == "of", 6 where words[1] == "shard" && words[5] == "packed":
      guard let index = Int(words[2]), let count = Int(words[4]), index >= 0, index < count else { return nil }
      mode = .shard
      share = .init(index: index, count: count)
      isOfPack = words.count == 6
    default: return nil
    }
  }

  /// The content id alone for a copy; so no two ways to stage a version are ever taken for each other.
  var folder: String {
    switch mode {
    case .copy: contentID
    case .shards: "\(contentID)-shards"
    case .shard: "\(contentID)-shard-\(share?.index ?? 0)-of-\(share?.count ?? 1)\(isOfPack ? "-packed" : "")"
    }
  }
}

/// The replicas on this node's disk; calls may block.
struct Replicas: Sendable {
  let node: NodeFolder

  func path(_ name: String) -> String { node.replica(name) }
  func marker(_ name: String) -> String { node.replicaMarker(name) }
  func partial(_ name: String) -> String { node.partialReplica(name) }
  func map(_ name: String) -> String { partial(name) + ".map" }
  func lock(_ name: String) -> String { "\(node.datasets)/.lock-\(name)" }
  private func stamp(_ name: String) -> String { "\(node.datasets)/.used-\(name)" }
  private func doomed(_ name: String) -> String { "\(node.datasets)/.evicted-\(name)" }

  /// Notes that somebody wants a replica now, and how much it is.
  func use(_ name: String, _ bytes: ByteCount) throws(SystemError) {
    let file = try Disk.open(stamp(name), O_WRONLY | O_CREAT | O_TRUNC)
    try Disk.write(Array("\(bytes.bytes)\n".utf8), to: file, path: stamp(name))
  }

  /// What the stamp says of a replica's size; a manifest of a million files takes long to read.
  private func noted(_ name: String) -> ByteCount? {
    guard let bytes = try? Disk.readAll(stamp(name), limit: 64), bytes.last == UInt8(ascii: "\n") else { return nil }
    return Int64(String(decoding: bytes.dropLast(), as: UTF8.self)).map { ByteCount($0) }
  }

  /// Removes what is left of replicas whose removal was stopped in the middle.
  func sweep() throws(SystemError) {
    for name in try Disk.names(in: node.datasets) where name.hasPrefix(".evicted-") {
      try Disk.removeTree("\(node.datasets)/\(name)")
    }
  }

  /// All that is there, by name.
  func all() throws -> [ReplicaReport] {
    var names: Set<String> = []
    for entry in try Disk.names(in: node.datasets) {
      var name = Substring(entry)
      if name.hasPrefix(".partial-") { name = name.dropFirst(".partial-".count) }
      if name.hasSuffix(".map") { name = name.dropLast(".map".count) }
      if ReplicaName(folder: String(name)) != nil { names.insert(String(name)) }
    }
    return names.sorted().compactMap(report)
  }

  /// What is there under a name; nil for nothing.
  func report(_ name: String) -> ReplicaReport? {
    guard let parsed = ReplicaName(folder: name) else { return nil }
    let hasFolder = Disk.status(path(name))?.isFolder == true
    guard hasFolder || Disk.status(partial(name)) != nil else { return nil }
    let isVerified = hasFolder && Disk.status(marker(name)) != nil
    let whole = isVerified ? noted(name) ?? manifest(name)?.total : nil
    return ReplicaReport(
      name: name, contentID: parsed.contentID, mode: parsed.mode, share: parsed.share, isVerified: isVerified,
      bytes: (whole ?? Disk.allocated(path(name))) + Disk.allocated(partial(name)), lastUse: lastUse(name))
  }

  /// What the marker vouches for; nil where there is none.
  func manifest(_ name: String) -> Manifest? {
    guard let bytes = try? Disk.readAll(marker(name), limit: 1 << 30) else { return nil }
    return try? Codec.decode(Manifest.self, bytes)
  }

  private func lastUse(_ name: String) -> Timestamp {
    for path in [stamp(name), marker(name), map(name), partial(name), path(name)] {
      if let status = Disk.status(path), status.stamp.count > 2 {
        return Timestamp(microseconds: status.stamp[1] * 1_000_000 + status.stamp[2] / 1000)
      }
    }
    return Timestamp(microseconds: 0)
  }

  /// Folders that attempts which are not over have asked for.
  ///
  /// Throws where what such an attempt asked for cannot be read: nobody can say then what it uses.
  func inUse() throws -> Set<String> {
    var names: Set<String> = []
    for id in try node.knownAttempts() {
      let folder = node.attempt(id)
      guard try !JournalFile.hasEnded(JournalFile.read(folder.journal).entries.map(\.event)),
        let order = try order(of: folder)
      else { continue }
      for dataset in order.datasets {
        names.insert(ReplicaName(dataset, rank: order.nodeRank, count: order.nodeAddresses.count).folder)
      }
    }
    return names
  }

  /// Nil for an attempt that has none yet, or has just been purged.
  private func order(of attempt: AttemptFolder) throws -> AttemptOrder? {
    do {
      return try Codec.decode(AttemptOrder.self, Disk.readAll(attempt.order))
    } catch let error as SystemError where error.code == ENOENT {
      return nil
    }
  }

  /// Removes a replica, whole or partial; false where somebody is staging it at this moment.
  ///
  /// The marker goes first: what is stopped in the middle is no replica any more.
  func remove(_ name: String) throws(SystemError) -> Bool {
    let held = try Disk.open(lock(name), O_RDWR | O_CREAT)
    guard flock(held.raw, LOCK_EX | LOCK_NB) == 0 else { return false }
    try Disk.removeTree(marker(name))
    try Disk.removeTree(doomed(name))
    if Disk.status(path(name)) != nil { try Disk.move(path(name), to: doomed(name)) }
    try Disk.synchronize(folder: node.datasets)
    for path in [doomed(name), map(name), partial(name), stamp(name)] { try Disk.removeTree(path) }
    return true
  }

  /// Says that a replica is damaged: the next who wants it brings what is wrong of it again.
  func distrust(_ name: String) throws(SystemError) {
    try Disk.removeTree(marker(name))
    try Disk.synchronize(folder: node.datasets)
  }
}

extension Disk {
  /// What a folder takes on the disk, with all in it; nothing where there is none.
  static func allocated(_ path: String) -> ByteCount {
    var found = stat()
    guard lstat(path, &found) == 0 else { return .zero }
    guard found.st_mode & S_IFMT == S_IFDIR else { return ByteCount(Int64(found.st_blocks) * 512) }
    return ((try? names(in: path)) ?? []).reduce(.zero) { $0 + allocated("\(path)/\($1)") }
  }
}
