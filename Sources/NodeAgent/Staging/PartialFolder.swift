import CLinux
import Glibc
import ObjectStorage

/// The folder that a transfer fills; every call may block.
struct PartialFolder: Sendable {
  let path: String
  let plan: TransferPlan

  /// Files from this size on get their room before anything is written.
  private static let worthReserving: Int64 = 1 << 20
  /// More files than this are flushed by one call for the file system.
  private static let flushedOneByOne = 16

  /// What a file that is to be written, and what is there under its name, have in common.
  private func file(_ index: Int) -> String { "\(path)/\(plan.files[index].path)" }

  /// Files that are whole and right already; what does not belong here is removed.
  ///
  /// For a folder without a map: a replica that was damaged, or what an older agent left.
  func salvage() throws -> Set<Int> {
    guard Disk.status(path)?.isFolder == true else { return [] }
    let wanted = Dictionary(uniqueKeysWithValues: plan.files.enumerated().map { ($1.path, $0) })
    var found: Set<Int> = []
    func enter(_ below: String) throws {
      for name in try Disk.names(in: below.isEmpty ? path : "\(path)/\(below)") {
        let child = below.isEmpty ? name : "\(below)/\(name)"
        guard let status = Disk.status("\(path)/\(child)") else { continue }
        if status.isFolder, wanted[child] == nil {
          try enter(child)
        } else if let index = wanted[child], status.isFile, try isRight(index, size: status.size) {
          found.insert(index)
        } else {
          try Disk.removeTree("\(path)/\(child)")
        }
      }
    }
    try enter("")
    return found
  }

  private func isRight(_ index: Int, size: Int64) throws -> Bool {
    guard plan.files[index].size == size, let sha256 = plan.files[index].sha256 else { return false }
    let isRight = try ContentHash.of(file: file(index)).sha256 == sha256
    try drop(index)
    return isRight
  }

  /// Makes all folders and files in their length, with room for them: a disk that is too small says so now.
  func prepare() throws(SystemError) {
    try Disk.makeFolders(path)
    var made: Set<String> = [path]
    for (index, entry) in plan.files.enumerated() {
      let name = file(index)
      let parent = Disk.parent(of: name)
      if made.insert(parent).inserted { try Disk.makeFolders(parent) }
      if let status = Disk.status(name) {
        if !status.isFile { try Disk.removeTree(name) } else { chmod(name, 0o644) }
      }
      let file = try Disk.open(name, O_WRONLY | O_CREAT | O_NOFOLLOW)
      if ftruncate(file.raw, off_t(entry.size)) != 0 { throw SystemError("cannot size", name, errno: errno) }
      // Not every file system can; then a full disk shows later.
      if entry.size >= Self.worthReserving, fallocate(file.raw, 0, 0, off_t(entry.size)) != 0,
        errno == ENOSPC || errno == EDQUOT || errno == EFBIG
      {
        throw SystemError("cannot reserve room for", name, errno: errno)
      }
    }
    try flushAll()
  }

  /// Writes fragments of a piece, and has the disk begin; true where `comparing` and other bytes were there before.
  func write(_ piece: Int, positions: [Int], _ bytes: [[UInt8]], comparing: Bool) throws(SystemError) -> Bool {
    var differs = false
    for (position, content) in zip(positions, bytes) {
      let fragment = plan.pieces[piece].fragments[position]
      let name = file(fragment.file)
      let file = try Disk.open(name, comparing ? O_RDWR : O_WRONLY)
      if comparing, try Disk.read(file, at: fragment.offset, limit: fragment.count, path: name) != content {
        differs = true
      }
      if lseek(file.raw, off_t(fragment.offset), SEEK_SET) < 0 { throw SystemError("cannot seek", name, errno: errno) }
      try Disk.write(content, to: file, path: name)
      _ = sync_file_range(file.raw, off_t(fragment.offset), off_t(fragment.count), baton_begin_write_out)
    }
    return differs
  }

  /// The bytes of a piece.
  func read(_ piece: Int) throws(SystemError) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(plan.pieces[piece].bytes)
    for fragment in plan.pieces[piece].fragments { bytes += try read(fragment) }
    return bytes
  }

  private func read(_ fragment: TransferPlan.Fragment) throws(SystemError) -> [UInt8] {
    let name = file(fragment.file)
    let file = try Disk.open(name, O_RDONLY)
    let bytes = try Disk.read(file, at: fragment.offset, limit: fragment.count, path: name)
    guard bytes.count == fragment.count else { throw SystemError("too short:", name, errno: EIO) }
    return bytes
  }

  /// Brings what was written of `pieces` to the disk.
  func flush(_ pieces: [Int]) throws(SystemError) {
    let files = Set(pieces.flatMap { plan.pieces[$0].fragments.map(\.file) })
    guard files.count <= Self.flushedOneByOne else { return try flushAll() }
    for index in files { try Disk.synchronize(try Disk.open(file(index), O_RDONLY), path: file(index)) }
  }

  /// Brings all below the folder to the disk, names too.
  func flushAll() throws(SystemError) {
    let folder = try Disk.open(path, O_RDONLY | O_DIRECTORY)
    if syncfs(folder.raw) != 0 { throw SystemError("cannot synchronize", path, errno: errno) }
  }

  /// Adds the piece's part of `file` to `hash`, and drops it from the page cache where `drops`.
  func hash(_ file: Int, piece: Int, into hash: inout ContentHash, drops: Bool) throws(SystemError) {
    for fragment in plan.pieces[piece].fragments where fragment.file == file {
      hash.update(try read(fragment))
      if drops { try drop(file, fragment.offset, Int64(fragment.count)) }
    }
  }

  /// Drops what is on the disk of a file from the page cache: nobody reads it soon, and others need the room.
  func drop(_ file: Int, _ offset: Int64 = 0, _ count: Int64 = 0) throws(SystemError) {
    let opened = try Disk.open(self.file(file), O_RDONLY)
    _ = posix_fadvise(opened.raw, off_t(offset), off_t(count), POSIX_FADV_DONTNEED)
  }

  /// Makes all files read-only, before they are published.
  func seal() throws(SystemError) {
    for index in plan.files.indices { chmod(file(index), 0o444) }
    try flushAll()
  }
}
