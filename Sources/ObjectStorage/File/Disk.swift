package import Glibc

/// An open file, closed when it goes out of scope.
package struct Descriptor: ~Copyable {
  /// The number of it.
  package let raw: Int32

  /// Takes over an open descriptor.
  package init(owning raw: Int32) { self.raw = raw }

  deinit { close(raw) }
}

/// Files, with what a crash or a loss of power leaves behind in mind; every call may block.
package enum Disk {
  /// Opens `path`, closed on exec.
  package static func open(_ path: String, _ flags: Int32, mode: mode_t = 0o644) throws(SystemError) -> Descriptor {
    while true {
      let raw = Glibc.open(path, flags | O_CLOEXEC, mode)
      if raw >= 0 { return Descriptor(owning: raw) }
      if errno != EINTR { throw SystemError("cannot open", path, errno: errno) }
    }
  }

  /// Writes all of `bytes` where the descriptor stands.
  package static func write(
    _ bytes: UnsafeRawBufferPointer, to file: borrowing Descriptor, path: String
  ) throws(SystemError) {
    var done = 0
    while done < bytes.count, let base = bytes.baseAddress {
      let count = Glibc.write(file.raw, base + done, bytes.count - done)
      if count >= 0 { done += count } else if errno != EINTR { throw SystemError("cannot write", path, errno: errno) }
    }
  }

  /// Writes all of `bytes` where the descriptor stands.
  package static func write(_ bytes: [UInt8], to file: borrowing Descriptor, path: String) throws(SystemError) {
    let raw = file.raw
    let result = bytes.withUnsafeBytes { buffer -> Result<Void, SystemError> in
      var done = 0
      while done < buffer.count, let base = buffer.baseAddress {
        let count = Glibc.write(raw, base + done, buffer.count - done)
        if count >= 0 {
          done += count
        } else if errno != EINTR {
          return .failure(SystemError("cannot write", path, errno: errno))
        }
      }
      return .success(())
    }
    try result.get()
  }

  /// Writes all of `bytes` at `offset`.
  package static func write(
    _ bytes: [UInt8], to file: borrowing Descriptor, at offset: Int64, path: String
  ) throws(SystemError) {
    let raw = file.raw
    let failure = bytes.withUnsafeBytes { buffer -> Int32 in
      var done = 0
      while done < buffer.count, let base = buffer.baseAddress {
        let count = pwrite(raw, base + done, buffer.count - done, Int(offset) + done)
        if count >= 0 { done += count } else if errno != EINTR { return errno }
      }
      return 0
    }
    if failure != 0 { throw SystemError("cannot write", path, errno: failure) }
  }

  /// Up to `limit` bytes at `offset`; empty at the end.
  package static func read(
    _ file: borrowing Descriptor, at offset: Int64, limit: Int, path: String
  ) throws(SystemError) -> [UInt8] {
    let raw = file.raw
    var failure: Int32 = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
      while true {
        let got = pread(raw, buffer.baseAddress, limit, Int(offset))
        if got >= 0 {
          count = got
          return
        }
        if errno == EINTR { continue }
        failure = errno
        count = 0
        return
      }
    }
    if failure != 0 { throw SystemError("cannot read", path, errno: failure) }
    return bytes
  }

  /// Hands on the bytes of `range`, or what of it the file has, in order and piece by piece; gives how many there were.
  ///
  /// All pieces come in one buffer, which the next one overwrites: memory that is new with each costs more than to read.
  package static func read(
    _ file: borrowing Descriptor, _ range: Range<Int64>, path: String,
    _ body: (UnsafeRawBufferPointer) throws(SystemError) -> Void
  ) throws(SystemError) -> Int64 {
    let piece = 1 << 18
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: piece, alignment: 4096)
    defer { buffer.deallocate() }
    var offset = range.lowerBound
    while offset < range.upperBound {
      let got = pread(file.raw, buffer.baseAddress, Int(min(Int64(piece), range.upperBound - offset)), Int(offset))
      if got < 0 {
        if errno == EINTR { continue }
        throw SystemError("cannot read", path, errno: errno)
      }
      if got == 0 { break }
      try body(UnsafeRawBufferPointer(rebasing: buffer[..<got]))
      offset += Int64(got)
    }
    return offset - range.lowerBound
  }

  /// The whole of a file that is known to be small; `EFBIG` past `limit`.
  package static func readAll(_ path: String, limit: Int = 64 << 20) throws(SystemError) -> [UInt8] {
    let file = try open(path, O_RDONLY)
    var bytes: [UInt8] = []
    while true {
      let chunk = try read(file, at: Int64(bytes.count), limit: 1 << 16, path: path)
      if chunk.isEmpty { return bytes }
      bytes += chunk
      if bytes.count > limit { throw SystemError("too large:", path, errno: EFBIG) }
    }
  }

  /// Brings what was written to the disk.
  package static func synchronize(_ file: borrowing Descriptor, path: String) throws(SystemError) {
    if fsync(file.raw) != 0 { throw SystemError("cannot synchronize", path, errno: errno) }
  }

  /// Brings the names in a folder to the disk.
  package static func synchronize(folder: String) throws(SystemError) {
    try synchronize(try open(folder, O_RDONLY | O_DIRECTORY), path: folder)
  }

  /// Replaces `path` as a whole: after a crash it is either the old or the new content.
  package static func writeAtomically(_ bytes: [UInt8], to path: String, mode: mode_t = 0o600) throws(SystemError) {
    let temporary = "\(path).\(getpid()).tmp"
    do {
      let file = try open(temporary, O_WRONLY | O_CREAT | O_TRUNC, mode: mode)
      try write(bytes, to: file, path: temporary)
      try synchronize(file, path: temporary)
    } catch {
      unlink(temporary)
      throw error
    }
    try move(temporary, to: path)
    try synchronize(folder: parent(of: path))
  }

  /// Renames, replacing a file that is there.
  package static func move(_ from: String, to: String) throws(SystemError) {
    if rename(from, to) != 0 { throw SystemError("cannot rename \(from) to", to, errno: errno) }
  }

  /// The folder that `path` lies in.
  package static func parent(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// Makes `path` and the folders above it that are missing; others may make and remove them meanwhile.
  package static func makeFolders(_ path: String, mode: mode_t = 0o755) throws(SystemError) {
    var code: Int32 = 0
    for _ in 0..<100 {
      if mkdir(path, mode) == 0 { return }
      code = errno
      if code == ENOENT, path != parent(of: path) {
        try makeFolders(parent(of: path), mode: mode)
      } else if code == EEXIST, let found = status(path) {
        if found.isFolder { return }
        throw SystemError("not a folder:", path, errno: ENOTDIR)
      } else if code != EEXIST {
        break
      }
    }
    throw SystemError("cannot make", path, errno: code)
  }

  /// What is known of a file without opening it; links are not followed.
  package struct Status: Hashable, Sendable {
    /// Length in bytes.
    package var size: Int64
    /// Whether it is a folder.
    package var isFolder: Bool
    /// Whether it is a plain file.
    package var isFile: Bool
    /// Changes with the content, as far as the file system can tell.
    package var stamp: [Int64]

    init(_ found: stat) {
      let kind = found.st_mode & S_IFMT
      size = Int64(found.st_size)
      isFolder = kind == S_IFDIR
      isFile = kind == S_IFREG
      stamp = [
        Int64(found.st_ino), Int64(found.st_mtim.tv_sec), Int64(found.st_mtim.tv_nsec), Int64(found.st_ctim.tv_sec),
        Int64(found.st_ctim.tv_nsec),
      ]
    }

    /// Which file, how long, and when it was written: the same as long as the content is, also under another name.
    var tag: String { ([size] + stamp.prefix(3)).map { String($0, radix: 16) }.joined(separator: "-") }
  }

  /// The status of `path`; nil where there is nothing, or nothing that may be looked at.
  package static func status(_ path: String) -> Status? {
    var found = stat()
    guard lstat(path, &found) == 0 else { return nil }
    return Status(found)
  }

  /// The names in a folder, in no order, without `.` and `..`.
  ///
  /// What is not UTF-8 in a name is replaced, so that no file has such a name.
  package static func names(in folder: String) throws(SystemError) -> [String] {
    guard let handle = opendir(folder) else { throw SystemError("cannot list", folder, errno: errno) }
    defer { closedir(handle) }
    return try rawNames(handle, path: folder).map(text)
  }

  /// The names in an open folder as they are, each with its NUL.
  private static func rawNames(_ handle: OpaquePointer, path: String) throws(SystemError) -> [[CChar]] {
    var names: [[CChar]] = []
    while true {
      errno = 0
      guard let entry = readdir(handle) else {
        if errno != 0 { throw SystemError("cannot list", path, errno: errno) }
        return names
      }
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        bytes.prefix { $0 != 0 }.map { CChar(bitPattern: $0) } + [0]
      }
      if text(name) != ".", text(name) != ".." { names.append(name) }
    }
  }

  private static func text(_ name: [CChar]) -> String {
    String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Removes a file, or a folder with all in it; links are removed, not followed, and nothing there is fine.
  ///
  /// Takes what programs leave behind: names that are not UTF-8, folders that were made read-only.
  package static func removeTree(_ path: String) throws(SystemError) {
    try remove(Array(path.utf8CString), in: AT_FDCWD, path: path)
  }

  /// Removes the entry `name` of an open folder; `path` is what messages call it.
  private static func remove(_ name: [CChar], in folder: Int32, path: String) throws(SystemError) {
    if unlinkat(folder, name, 0) == 0 || errno == ENOENT || errno == ENOTDIR { return }
    guard errno == EISDIR else { throw SystemError("cannot remove", path, errno: errno) }
    let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
    var raw = openat(folder, name, flags)
    if raw < 0, errno == EACCES, fchmodat(folder, name, 0o700, AT_SYMLINK_NOFOLLOW) == 0 {
      raw = openat(folder, name, flags)
    }
    guard raw >= 0 else { throw SystemError("cannot open", path, errno: errno) }
    // Whoever owns a read-only folder may empty it, once it says so.
    var found = stat()
    if fstat(raw, &found) == 0, found.st_mode & 0o700 != 0o700 { fchmod(raw, 0o700) }
    guard let handle = fdopendir(raw) else {
      let code = errno
      close(raw)
      throw SystemError("cannot list", path, errno: code)
    }
    defer { closedir(handle) }
    for child in try rawNames(handle, path: path) {
      try remove(child, in: raw, path: "\(path)/\(text(child))")
    }
    if unlinkat(folder, name, AT_REMOVEDIR) != 0, errno != ENOENT {
      throw SystemError("cannot remove", path, errno: errno)
    }
  }

  /// Bytes on the file system of `path`: what an unprivileged program can still use, and all.
  package static func room(at path: String) throws(SystemError) -> (free: Int64, total: Int64) {
    var found = statvfs()
    if statvfs(path, &found) != 0 { throw SystemError("cannot measure", path, errno: errno) }
    let block = Int64(found.f_frsize)
    return (Int64(found.f_bavail) * block, Int64(found.f_blocks) * block)
  }
}
