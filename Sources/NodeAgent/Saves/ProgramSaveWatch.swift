import Domain
import Glibc
import ObjectStorage

/// Looks at what a program saves by its own rules; used by one thread.
///
/// The folder may be made, removed and made again by the program: each folder on the way to it is watched for the next one.
/// A checkpoint that is a folder may be overwritten in place, so it is watched inside, too; not where names tell steps,
/// since each step is taken once.
final class ProgramSaveWatch {
  private let saves: ProgramSaves
  /// The working folder, and those on the way to where the program saves.
  private let folders: [String]
  private let watch: FolderWatch
  private var watched: [Int32: String] = [:]
  /// What is to be told of a folder.
  private static let mask = [IN_CREATE, IN_MOVED_TO, IN_CLOSE_WRITE, IN_DELETE, IN_MOVED_FROM]
    .reduce(Int32(bitPattern: UInt32(IN_ONLYDIR))) { $0 | Int32($1) }
  /// The watches in folders that are checkpoints.
  private var inside: Set<Int32> = []

  /// Watches for `saves` below the folder `work`.
  init(_ saves: ProgramSaves, work: String) throws(SystemError) {
    self.saves = saves
    var folders = [work]
    for part in saves.folder.split(separator: "/") { folders.append("\(folders[folders.count - 1])/\(part)") }
    self.folders = folders
    watch = try FolderWatch()
  }

  /// Readable while there is news.
  var descriptor: Int32 { watch.descriptor }

  /// The folder that the program saves in.
  var folder: String { folders[folders.count - 1] }

  /// What changed since the last call: names that came by a rename; nil where it is not worth a look.
  func news() -> [String]? {
    var renamed: [String] = []
    var isNews = false
    for change in watch.changes() {
      let path = watched[change.watch]
      if change.mask & UInt32(IN_IGNORED) != 0 { watched[change.watch] = nil }
      let isFolder = path == folder
      // Of a folder above only the next one matters.
      let matters = isFolder ? saves.pattern.match(change.name) != nil : path.map { isNext("\($0)/\(change.name)") }
      guard change.name.isEmpty || matters ?? true else { continue }
      isNews = true
      if isFolder, change.mask & UInt32(IN_MOVED_TO) != 0 { renamed.append(change.name) }
    }
    return isNews ? renamed : nil
  }

  private func isNext(_ path: String) -> Bool { folders.contains(path) }

  /// All that is there of the program's checkpoints, and watches folders that are new.
  func look() -> [String: ProgramSaveState.Look] {
    for path in folders where !watched.values.contains(path) {
      do {
        let number = try watch.add(path, Self.mask)
        watched[number] = path
      } catch {
        // Not made yet: the folder above tells.
        break
      }
    }
    let names = ((try? Disk.names(in: folder)) ?? []).filter { saves.pattern.match($0) != nil }
    // First, so that what changes after it was looked at is told.
    if !saves.pattern.tellsStep { watchInside(names) }
    var found: [String: ProgramSaveState.Look] = [:]
    for name in names {
      if let look = Self.look(at: "\(folder)/\(name)"), look.isFolder || !saves.pattern.isFolder { found[name] = look }
    }
    let written = found.isEmpty ? [] : OpenFiles.written(below: getpid())
    for (name, look) in found {
      found[name]?.isOpen = look.files.values.contains { $0.count > 1 && written.contains($0[1]) }
    }
    return found
  }

  /// Watches all folders of those of `names` that are folders, and no others.
  private func watchInside(_ names: [String]) {
    var seen: Set<Int32> = []
    func enter(_ path: String) {
      // What is gone by now is told by the folder above. The same folder has the same number again.
      guard Disk.status(path)?.isFolder == true, let number = try? watch.add(path, Self.mask) else { return }
      seen.insert(number)
      for name in (try? Disk.names(in: path)) ?? [] { enter("\(path)/\(name)") }
    }
    for name in names { enter("\(folder)/\(name)") }
    for number in inside.subtracting(seen) { watch.remove(number) }
    inside = seen
  }

  /// What is at `path`; nil for nothing, and for what is neither file nor folder.
  static func look(at path: String) -> ProgramSaveState.Look? {
    guard let status = Disk.status(path), status.isFolder || status.isFile else { return nil }
    var files: [String: [Int64]] = [:]
    func enter(_ below: String, _ status: Disk.Status) {
      guard status.isFolder else {
        files[below] = stamp(status)
        return
      }
      for name in (try? Disk.names(in: below.isEmpty ? path : "\(path)/\(below)")) ?? [] {
        let key = below.isEmpty ? name : "\(below)/\(name)"
        if let status = Disk.status("\(path)/\(key)") { enter(key, status) }
      }
    }
    enter("", status)
    return ProgramSaveState.Look(files: files, isFolder: status.isFolder)
  }

  /// Length, number and time of writing: other names and rights change none of them.
  static func stamp(_ status: Disk.Status) -> [Int64] { [status.size] + status.stamp.prefix(3) }
}

/// Which files are open.
enum OpenFiles {
  /// The numbers of the files that descendants of `pid` have open for writing.
  ///
  /// Two file systems may have the same number: then one too many is told.
  static func written(below pid: Int32) -> Set<Int64> {
    var found: Set<Int64> = []
    for process in ProcessTable.descendants(of: pid) {
      for name in (try? Disk.names(in: "/proc/\(process)/fd")) ?? [] {
        var status = stat()
        guard stat("/proc/\(process)/fd/\(name)", &status) == 0, status.st_mode & S_IFMT == S_IFREG,
          isWritten(process, name)
        else { continue }
        found.insert(Int64(status.st_ino))
      }
    }
    return found
  }

  private static func isWritten(_ process: Int32, _ descriptor: String) -> Bool {
    guard let bytes = try? Disk.readAll("/proc/\(process)/fdinfo/\(descriptor)") else { return false }
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") where line.hasPrefix("flags:") {
      let digits = line.dropFirst("flags:".count).filter { ("0"..."7").contains($0) }
      return Int32(digits, radix: 8).map { $0 & O_ACCMODE != O_RDONLY } ?? false
    }
    return false
  }
}
