import CLinux
public import Domain
import Glibc
public import Wire

/// A folder as an object store: for a lab, for one machine, for a file system that all nodes see.
///
/// Objects are plain files at their keys below the root; `.baton/` beside them holds what is being written. The
/// checksum of an object is an extended attribute of its file, set before the file gets its name, so that there
/// is no second file to lose. Where it got lost (`cp -r`, a file system without attributes) the content is read
/// and hashed instead. Several processes may use one folder.
public struct FileObjectStore: ObjectStore {
  /// The folder, without a slash at its end.
  public let root: String

  static let attribute = "user.baton.sha256"
  static let reserved = ".baton"

  /// What the folder has to say that it is; nil for any.
  public let identity: String?
  let pool: BlockingPool

  /// Uses the folder `root`.
  ///
  /// While it is missing, or says that it is another one than `identity`, every call fails with `.unavailable`: a file
  /// system that is not mounted must not be taken for an empty store.
  public init(root: String, identity: String? = nil) {
    self.identity = identity
    self.root = root.count > 1 && root.hasSuffix("/") ? String(root.dropLast()) : root
    pool = BlockingPool(label: "baton.objects", width: 8)
  }

  /// Makes the folder `root`, and those above it, and uses it.
  public static func creating(root: String) throws(ObjectStoreError) -> FileObjectStore {
    let store = FileObjectStore(root: root)
    do throws(SystemError) { try Disk.makeFolders(store.root) } catch { throw ObjectStoreError(error, key: "") }
    return store
  }

  /// Writes beside the objects, checks, and gives the file its name; see `ObjectStore`.
  public func put(
    _ key: String, from source: ObjectSource, sha256: String?, replacing: Bool
  ) async throws(ObjectStoreError) -> ObjectInfo {
    try await pool.run { () throws(ObjectStoreError) in
      let path = try path(of: key)
      let temporary = try newTemporary(for: key)
      defer { unlink(temporary) }
      let info = try fill(temporary, from: [source], key: key, sha256: sha256)
      try publish(temporary, as: path, key: key, replacing: replacing)
      return info
    }
  }

  /// Reads the file in pieces of 1 MiB; see `ObjectStore`.
  public func get(
    _ key: String, range: Range<Int64>?, ifTag: String?, _ receive: @Sendable ([UInt8]) async throws -> Void
  ) async throws {
    let file = try await pool.run { () throws(ObjectStoreError) in
      try OpenObject(path: path(of: key), store: self, key: key)
    }
    if let ifTag, ifTag != file.tag {
      throw ObjectStoreError(.changed, key: key, reason: "it is version \(file.tag), not \(ifTag)")
    }
    var offset = range?.lowerBound ?? 0
    let end = min(range?.upperBound ?? file.size, file.size)
    var hash = ContentHash()
    guard offset >= 0, offset <= file.size else {
      throw ObjectStoreError(.badRequest, key: key, reason: "byte \(offset) is past its end at \(file.size)")
    }
    while offset < end {
      try Task.checkCancellation()
      let limit = Int(min(1 << 20, end - offset))
      let start = offset
      let piece = try await pool.run { () throws(ObjectStoreError) in try file.read(at: start, limit: limit, key: key) }
      if piece.isEmpty {
        throw ObjectStoreError(.checksumMismatch, key: key, reason: "it ends at \(offset), not at \(end)")
      }
      offset += Int64(piece.count)
      hash.update(piece)
      try await receive(piece)
    }
    if range == nil, let known = file.sha256, known != hash.hex() {
      throw ObjectStoreError(.checksumMismatch, key: key, reason: "expected \(known), got \(hash.hex())")
    }
  }

  /// Reads and hashes in one go, in memory that is used again; see `ObjectStore`.
  public func measure(_ key: String, expecting size: Int64) async throws -> ObjectMeasure {
    try await pool.run { () throws(ObjectStoreError) in
      let path = try path(of: key)
      try requireRoot(key: key)
      do throws(SystemError) {
        let found = try ContentHash.of(try Disk.open(path, O_RDONLY), 0..<size + 1, path: path)
        return ObjectMeasure(sha256: found.sha256, size: found.size)
      } catch {
        throw ObjectStoreError(error, key: key)
      }
    }
  }

  /// Reads the attribute, or the content where it is missing; see `ObjectStore`.
  public func head(_ key: String) async throws(ObjectStoreError) -> ObjectInfo? {
    try await pool.run { () throws(ObjectStoreError) -> ObjectInfo? in
      let path = try path(of: key)
      try requireRoot(key: key)
      guard let status = Disk.status(path), status.isFile else { return nil }
      if let known = checksum(at: path) {
        return ObjectInfo(key: key, size: status.size, tag: status.tag, checksum: .sha256(known))
      }
      do throws(SystemError) {
        let (sha256, size) = try ContentHash.of(file: path)
        return ObjectInfo(key: key, size: size, tag: status.tag, checksum: .sha256(sha256))
      } catch {
        if error.code == ENOENT { return nil }
        throw ObjectStoreError(error, key: key)
      }
    }
  }

  /// Removes the file, and folders that are empty then; see `ObjectStore`.
  public func delete(_ key: String) async throws(ObjectStoreError) {
    try await pool.run { () throws(ObjectStoreError) in
      let path = try path(of: key)
      try requireRoot(key: key)
      if unlink(path) != 0 {
        let code = errno
        if code == ENOENT || code == ENOTDIR || code == EISDIR { return }
        throw ObjectStoreError(SystemError("cannot remove", path, errno: code), key: key)
      }
      // A put that comes at the same moment finds its folder gone, and makes it again.
      var folder = Disk.parent(of: path)
      while folder != root, rmdir(folder) == 0 { folder = Disk.parent(of: folder) }
    }
  }

  /// The folder itself: who may use it is for the file system to say.
  public func delegate(
    read: [String], write: [String], until: Timestamp
  ) async throws(ObjectStoreError) -> StoreAccess {
    .folder(path: root, identity: identity)
  }

  /// Removes what writers that died left half done, where it was last touched before `moment`.
  public func removeAbandoned(before moment: Timestamp) async throws(ObjectStoreError) {
    try await pool.run { () throws(ObjectStoreError) in
      do throws(SystemError) {
        for area in ["tmp", "uploads"] {
          let folder = "\(root)/\(Self.reserved)/\(area)"
          guard Disk.status(folder) != nil else { continue }
          for name in try Disk.names(in: folder) {
            guard let status = Disk.status("\(folder)/\(name)") else { continue }
            if status.stamp[1] < moment.microseconds / 1_000_000 { try Disk.removeTree("\(folder)/\(name)") }
          }
        }
      } catch { throw ObjectStoreError(error, key: "") }
    }
  }
}

extension FileObjectStore {
  func path(of key: String) throws(ObjectStoreError) -> String {
    guard ManifestEntry.isSafe(path: key), key != Self.reserved, !key.hasPrefix(Self.reserved + "/") else {
      throw ObjectStoreError(.badKey, key: key, reason: "a key is parts between slashes, none empty, '.' or '..'")
    }
    return "\(root)/\(key)"
  }

  func requireRoot(key: String) throws(ObjectStoreError) {
    guard access(root, F_OK) == 0 else {
      throw ObjectStoreError(.unavailable, key: key, reason: "the folder \(root) is not there")
    }
    guard let identity else { return }
    let found = try Self.identity(of: root)
    guard found == identity else {
      throw ObjectStoreError(
        .unavailable, key: key,
        reason: "the folder \(root) is not the store that it was (\(found ?? "nothing in it says what it is")): "
          + "is its file system mounted?")
    }
  }

  /// What a folder says that it is; nil where it says nothing.
  public static func identity(of root: String) throws(ObjectStoreError) -> String? {
    do throws(SystemError) {
      return String(decoding: try Disk.readAll("\(root)/\(reserved)/identity"), as: UTF8.self)
    } catch {
      if error.code == ENOENT || error.code == ENOTDIR { return nil }
      throw ObjectStoreError(error, key: "")
    }
  }

  /// Has the folder `root`, which is there, say from now on that it is `identity`, unless it says something already;
  /// gives what it says.
  public static func identify(_ root: String, as identity: String) throws(ObjectStoreError) -> String {
    do throws(SystemError) {
      let folder = "\(root)/\(reserved)"
      try Disk.makeFolders(folder)
      let temporary = "\(folder)/identity-\(identity)"
      try Disk.writeAtomically(Array(identity.utf8), to: temporary, mode: 0o644)
      defer { unlink(temporary) }
      if link(temporary, "\(folder)/identity") != 0, errno != EEXIST {
        throw SystemError("cannot make", "\(folder)/identity", errno: errno)
      }
      try Disk.synchronize(folder: folder)
      try Disk.synchronize(folder: root)
    } catch {
      throw ObjectStoreError(error, key: "")
    }
    return try Self.identity(of: root) ?? identity
  }

  func newTemporary(for key: String) throws(ObjectStoreError) -> String {
    try requireRoot(key: key)
    let folder = "\(root)/\(Self.reserved)/tmp"
    do throws(SystemError) { try Disk.makeFolders(folder) } catch { throw ObjectStoreError(error, key: key) }
    return "\(folder)/\(getpid())-\(UInt64.random(in: 0...UInt64.max))"
  }

  /// Writes the sources one after the other to `temporary`, checks them, and brings them to the disk.
  func fill(
    _ temporary: String, from sources: [ObjectSource], key: String, sha256: String?
  ) throws(ObjectStoreError) -> ObjectInfo {
    var hash: ContentHash? = ContentHash()
    var known: String?
    if case .hashed(_, _, let sha256) = sources.first, sources.count == 1 { (hash, known) = (nil, sha256) }
    var size: Int64 = 0
    do {
      let file = try Disk.open(temporary, O_WRONLY | O_CREAT | O_EXCL)
      for source in sources {
        switch source {
        case .bytes(let bytes):
          hash?.update(bytes)
          try Disk.write(bytes, to: file, path: temporary)
          size += Int64(bytes.count)
        case .file(let path):
          size += try copy(path, 0..<Int64.max, to: file, temporary, hashing: &hash, key: key)
        case .slice(let path, let range), .hashed(let path, let range, _):
          let copied = try copy(path, range, to: file, temporary, hashing: &hash, key: key)
          if copied != range.upperBound - range.lowerBound {
            throw ObjectStoreError(.sourceUnreadable, key: key, reason: "\(path) ends before \(range.upperBound)")
          }
          size += copied
        }
      }
      let found = known ?? hash?.hex() ?? ""
      if let sha256, sha256 != found {
        throw ObjectStoreError(.checksumMismatch, key: key, reason: "expected \(sha256), got \(found)")
      }
      let text = Array(found.utf8)
      if fsetxattr(file.raw, Self.attribute, text, text.count, 0) != 0, errno != ENOTSUP {
        throw SystemError("cannot set the checksum of", temporary, errno: errno)
      }
      try Disk.synchronize(file, path: temporary)
      return ObjectInfo(key: key, size: size, tag: Disk.status(temporary)?.tag ?? "", checksum: .sha256(found))
    } catch let error as ObjectStoreError {
      throw error
    } catch let error as SystemError {
      throw ObjectStoreError(error, key: key)
    } catch {
      throw ObjectStoreError(.unavailable, key: key, reason: "\(error)")
    }
  }

  private func copy(
    _ path: String, _ range: Range<Int64>, to file: borrowing Descriptor, _ temporary: String,
    hashing hash: inout ContentHash?, key: String
  ) throws -> Int64 {
    do throws(SystemError) {
      let source = try Disk.open(path, O_RDONLY)
      // What nobody has to look at need not come out of the kernel.
      let done = hash == nil ? try Disk.copy(source, range, to: file, path: temporary) : 0
      return try done
        + Disk.read(source, range.lowerBound + done..<range.upperBound, path: path) { piece throws(SystemError) in
          hash?.update(piece)
          try Disk.write(piece, to: file, path: temporary)
        }
    } catch {
      guard error.path == path else { throw error }
      throw ObjectStoreError(.sourceUnreadable, key: key, reason: error.description)
    }
  }

  /// Gives a finished file its name, and brings the names to the disk.
  func publish(_ temporary: String, as path: String, key: String, replacing: Bool) throws(ObjectStoreError) {
    let folder = Disk.parent(of: path)
    do throws(SystemError) {
      // A delete at the same moment may prune the folder between the two steps: then both are taken again.
      var tries = 0
      while true {
        try Disk.makeFolders(folder)
        let result = replacing ? rename(temporary, path) : link(temporary, path)
        if result == 0 { break }
        let code = errno
        tries += 1
        if code == ENOENT, tries < 100 { continue }
        throw SystemError("cannot publish", path, errno: code)
      }
      var changed = folder
      while true {
        do throws(SystemError) { try Disk.synchronize(folder: changed) } catch  where error.code == ENOENT {}
        if changed == root { break }
        changed = Disk.parent(of: changed)
      }
    } catch {
      throw ObjectStoreError(error, key: key)
    }
  }

  func checksum(at path: String) -> String? {
    var buffer = [UInt8](repeating: 0, count: 64)
    guard getxattr(path, Self.attribute, &buffer, buffer.count) == 64 else { return nil }
    return String(decoding: buffer, as: UTF8.self)
  }
}

/// An object that is being read; only at offsets, so that it may be used from any thread.
private final class OpenObject: Sendable {
  private let raw: Int32
  let size: Int64
  let tag: String
  let sha256: String?

  init(path: String, store: FileObjectStore, key: String) throws(ObjectStoreError) {
    try store.requireRoot(key: key)
    raw = Glibc.open(path, O_RDONLY | O_CLOEXEC)
    guard raw >= 0 else { throw ObjectStoreError(SystemError("cannot open", path, errno: errno), key: key) }
    var found = stat()
    guard fstat(raw, &found) == 0, found.st_mode & S_IFMT == S_IFREG else {
      size = 0
      tag = ""
      sha256 = nil
      throw ObjectStoreError(.notFound, key: key, reason: "\(path) is not a file")
    }
    size = Int64(found.st_size)
    tag = Disk.Status(found).tag
    var buffer = [UInt8](repeating: 0, count: 64)
    let isKnown = fgetxattr(raw, FileObjectStore.attribute, &buffer, buffer.count) == 64
    sha256 = isKnown ? String(decoding: buffer, as: UTF8.self) : nil
  }

  deinit { if raw >= 0 { close(raw) } }

  func read(at offset: Int64, limit: Int, key: String) throws(ObjectStoreError) -> [UInt8] {
    var failure: Int32 = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
      let got = pread(raw, buffer.baseAddress, limit, Int(offset))
      failure = got < 0 ? errno : 0
      count = max(0, got)
    }
    if failure != 0 { throw ObjectStoreError(SystemError("cannot read", key, errno: failure), key: key) }
    return bytes
  }
}
