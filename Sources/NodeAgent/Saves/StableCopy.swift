import CLinux
import Domain
import Glibc
import ObjectStorage

/// Copies files and folders; blocks while another has the same are shared where the file system can do that.
enum StableCopy {
  /// Copies what a program saved, from `source`, into the new folder `target` under its name; `target` is there once all
  /// of it is, by a rename from `target.tmp`.
  ///
  /// `.changed`, and no `target`, where anything is not as it was `seen`.
  static func take(
    _ source: String, name: String, seen: ProgramSaveState.Look, into target: String
  ) -> ProgramSaveState.Ending {
    let temporary = target + ".tmp"
    do {
      try Disk.removeTree(temporary)
      try Disk.makeFolders(temporary)
      let isSame = try copy(source, to: "\(temporary)/\(name)", seen)
      if isSame {
        try Disk.move(temporary, to: target)
        return .done
      }
      try Disk.removeTree(temporary)
      return .changed
    } catch {
      do { try Disk.removeTree(temporary) } catch { complain("\(temporary): \(error)") }
      return ProgramSaveWatch.look(at: source)?.isAs(seen) == true ? .failed("\(error)") : .changed
    }
  }

  /// Whether all was as it was seen, and is copied.
  private static func copy(
    _ source: String, to target: String, _ seen: ProgramSaveState.Look
  ) throws(SystemError) -> Bool {
    guard seen.isFolder else { return try copyFile(source, to: target, stamp: seen.files[""]) }
    try Disk.makeFolders(target)
    for (path, stamp) in seen.files {
      try Disk.makeFolders(Disk.parent(of: "\(target)/\(path)"))
      guard try copyFile("\(source)/\(path)", to: "\(target)/\(path)", stamp: stamp) else { return false }
    }
    return ProgramSaveWatch.look(at: source)?.isAs(seen) == true
  }

  /// Puts a copy of all that is in the folder `source` into `target`, in place of what has the same name there.
  ///
  /// Each name is there once all of it is.
  static func putAll(of source: String, into target: String) throws {
    try Disk.makeFolders(target)
    for name in try Disk.names(in: source) {
      let temporary = "\(target)/.\(name).tmp"
      try Disk.removeTree(temporary)
      try copyTree("\(source)/\(name)", to: temporary)
      try Disk.removeTree("\(target)/\(name)")
      try Disk.move(temporary, to: "\(target)/\(name)")
    }
  }

  private static func copyTree(_ source: String, to target: String) throws(SystemError) {
    guard Disk.status(source)?.isFolder == true else {
      _ = try copyFile(source, to: target, stamp: nil)
      return
    }
    try Disk.makeFolders(target)
    for name in try Disk.names(in: source) { try copyTree("\(source)/\(name)", to: "\(target)/\(name)") }
  }

  /// False where the file is not of this `stamp` before or after; its name may be another's by then.
  private static func copyFile(_ source: String, to target: String, stamp: [Int64]?) throws(SystemError) -> Bool {
    guard Disk.status(source)?.isFile == true else {
      throw SystemError("neither a file nor a folder:", source, errno: EINVAL)
    }
    let from = try Disk.open(source, O_RDONLY | O_NOFOLLOW)
    func isSeen() -> Bool {
      guard let stamp else { return true }
      var found = stat()
      guard fstat(from.raw, &found) == 0 else { return false }
      return stamp
        == [found.st_size, Int(found.st_ino), found.st_mtim.tv_sec, found.st_mtim.tv_nsec].map { Int64($0) }
    }
    guard isSeen() else { return false }
    let to = try Disk.open(target, O_WRONLY | O_CREAT | O_EXCL)
    let done = try Disk.copy(from, 0..<Int64.max, to: to, path: target)
    // Also where nothing is left, as it seems: some kernels say so of file systems that make files up.
    _ = try Disk.read(from, done..<Int64.max, path: source) { piece throws(SystemError) in
      try Disk.write(piece, to: to, path: target)
    }
    return isSeen()
  }
}
