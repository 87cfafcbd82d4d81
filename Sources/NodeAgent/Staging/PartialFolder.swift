import CLinux
import Glibc
import ObjectStorage

/// The folder that a transfer fills; every call may block.
struct PartialFolder: Sendable {
  let path: String
  let plan: TransferPlan

  /// Files from this size on get their room before anything is written, and go to the disk one by one; smaller ones are
  /// made when they come, and flushed together.
  private static let worthReserving: Int64 = 1 << 20
  /// The mode of files that are published.
  private static let sealed: mode_t = 0o444
  /// What is hashed is read in stretches of this size.
  private static let stretch = 256 << 10
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
    guard plan.files[index].size == size, let checksum = plan.files[index].checksum else { return false }
    let isRight = try checksum.matches(file: file(index), size: size)
    try drop(index)
    return isRight
  }

  /// Makes all folders, and the large files in their length with room for them: a disk that is too small says so now.
  func prepare() throws(SystemError) {
    try Disk.makeFolders(path)
    var made: Set<String> = [path]
    var sized: [Int] = []
    for (index, entry) in plan.files.enumerated() {
      let name = file(index)
      if !made.contains(Disk.parent(of: name)) {
        try Disk.makeFolders(Disk.parent(of: name))
        addFolders(above: name, to: &made)
      }
      guard entry.size == 0 || entry.size >= Self.worthReserving || plan.piecesOfFile[index].count > 1 else { continue }
      let file = try openForWriting(name)
      if ftruncate(file.raw, off_t(entry.size)) != 0 { throw SystemError("cannot size", name, errno: errno) }
      // Not every file system can; then a full disk shows later.
      if entry.size >= Self.worthReserving, fallocate(file.raw, 0, 0, off_t(entry.size)) != 0,
        errno == ENOSPC || errno == EDQUOT || errno == EFBIG
      {
        throw SystemError("cannot reserve room for", name, errno: errno)
      }
      sized.append(index)
    }
    try flush(files: sized, folders: made)
  }

  /// The folders in which a file lies, up to that of the transfer, which is among `folders`.
  private func addFolders(above name: String, to folders: inout Set<String>) {
    var parent = Disk.parent(of: name)
    while folders.insert(parent).inserted { parent = Disk.parent(of: parent) }
  }

  /// Opens a file, making it where it is not there; one that was sealed is opened again.
  private func openForWriting(
    _ name: String, _ access: Int32 = O_WRONLY, mode: mode_t = 0o644
  ) throws(SystemError) -> Descriptor {
    do {
      return try Disk.open(name, access | O_CREAT | O_NOFOLLOW, mode: mode)
    } catch {
      switch error.code {
      case EACCES: chmod(name, 0o644)
      case EISDIR, ELOOP: try Disk.removeTree(name)
      default: throw error
      }
      return try Disk.open(name, access | O_CREAT | O_NOFOLLOW)
    }
  }

  /// Writes fragments of a piece; true where `comparing` and other bytes were there before.
  func write(_ piece: Int, positions: [Int], _ bytes: [[UInt8]], comparing: Bool) throws(SystemError) -> Bool {
    var differs = false
    for (position, content) in zip(positions, bytes) {
      let fragment = plan.pieces[piece].fragments[position]
      let name = file(fragment.file)
      // Who makes a file may write it, whatever its mode: sealing it costs nothing then.
      let isWhole = fragment.count == plan.files[fragment.file].size
      let file = try openForWriting(name, comparing ? O_RDWR : O_WRONLY, mode: isWhole ? Self.sealed : 0o644)
      if comparing, try Disk.read(file, at: fragment.offset, limit: fragment.count, path: name) != content {
        differs = true
      }
      try Disk.write(content, to: file, at: fragment.offset, path: name)
      beginToFlush(
        file, plan.files[fragment.file].size, fragment.offset..<fragment.offset + Int64(fragment.count))
    }
    return differs
  }

  /// Writes what comes next of a run.
  func write(_ bytes: [UInt8], _ run: PieceRun) throws(SystemError) {
    let name = file(run.file)
    let file = try openForWriting(name)
    try Disk.write(bytes, to: file, at: run.position, path: name)
    if let whole = run.wrote(bytes.count) { beginToFlush(file, plan.files[run.file].size, whole) }
  }

  /// Has the disk begin; small files are better begun all at once, when they are flushed.
  private func beginToFlush(_ file: borrowing Descriptor, _ size: Int64, _ range: Range<Int64>) {
    guard size >= Self.worthReserving else { return }
    _ = sync_file_range(file.raw, off_t(range.lowerBound), off_t(range.count), baton_begin_write_out)
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
    // Small files were made since the folders were flushed.
    let made = files.filter { plan.files[$0].size < Self.worthReserving }
    try flush(files: Array(files), folders: Set(made.map { Disk.parent(of: file($0)) }))
  }

  /// Brings files, and the names in folders, to the disk: one by one where they are few, so that nothing waits for what
  /// others write.
  private func flush(files: [Int], folders: Set<String>) throws(SystemError) {
    guard files.count + folders.count <= Self.flushedOneByOne else {
      let folder = try Disk.open(path, O_RDONLY | O_DIRECTORY)
      if syncfs(folder.raw) != 0 { throw SystemError("cannot synchronize", path, errno: errno) }
      return
    }
    for index in files { try Disk.synchronize(try Disk.open(file(index), O_RDONLY), path: file(index)) }
    for folder in folders { try Disk.synchronize(folder: folder) }
  }

  /// Adds the piece's part of `file` to `hash`, and drops it from the page cache where `drops`.
  func hash(_ file: Int, piece: Int, into hash: inout ChecksumHash, drops: Bool) throws(SystemError) {
    let name = self.file(file)
    let opened = try Disk.open(name, O_RDONLY)
    for fragment in plan.pieces[piece].fragments where fragment.file == file {
      var done = 0
      while done < fragment.count {
        let bytes = try Disk.read(
          opened, at: fragment.offset + Int64(done), limit: min(Self.stretch, fragment.count - done), path: name)
        guard !bytes.isEmpty else { throw SystemError("too short:", name, errno: EIO) }
        hash.update(bytes)
        done += bytes.count
      }
      if drops { _ = posix_fadvise(opened.raw, off_t(fragment.offset), off_t(fragment.count), POSIX_FADV_DONTNEED) }
    }
  }

  /// Drops what is on the disk of a file from the page cache: nobody reads it soon, and others need the room.
  func drop(_ file: Int, _ offset: Int64 = 0, _ count: Int64 = 0) throws(SystemError) {
    let opened = try Disk.open(self.file(file), O_RDONLY)
    _ = posix_fadvise(opened.raw, off_t(offset), off_t(count), POSIX_FADV_DONTNEED)
  }

  private func seal(_ name: String) {
    var found = stat()
    if lstat(name, &found) == 0, found.st_mode & 0o7777 == Self.sealed { return }
    chmod(name, Self.sealed)
  }

  /// Makes all files read-only, before they are published.
  func seal() throws(SystemError) {
    var folders: Set<String> = [path]
    for index in plan.files.indices {
      seal(file(index))
      addFolders(above: file(index), to: &folders)
    }
    try flush(files: Array(plan.files.indices), folders: folders)
  }
}
