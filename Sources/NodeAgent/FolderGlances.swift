import Domain
import Glibc
import ObjectStorage

/// What changes in folders and files from one look to the next, told in the words of inotify.
///
/// What came and went between two looks is not seen. An entry that was renamed is told from one that was made by its
/// inode, which had another name before, or by its times: a rename changes the entry's status and not its content. Where
/// neither tells, it counts as made: what is not known to be whole is not called whole.
struct FolderGlances {
  private struct Watched {
    var path: String
    var mask: UInt32
    /// Of the thing itself.
    var status: Disk.Status
    /// Of a folder's entries, by name.
    var entries: [String: Disk.Status] = [:]
  }

  private var watched: [Int32: Watched] = [:]
  private var last: Int32 = 0

  /// Looks at `path` for the first time; `number` where it has one already.
  mutating func add(_ path: String, _ mask: UInt32, as number: Int32? = nil) throws(SystemError) -> Int32 {
    guard let status = Disk.status(path) else { throw SystemError("cannot watch", path, errno: ENOENT) }
    if mask & UInt32(IN_ONLYDIR) != 0, !status.isFolder { throw SystemError("cannot watch", path, errno: ENOTDIR) }
    if let (number, old) = watched.first(where: { $0.value.path == path && $0.value.status.inode == status.inode }) {
      // As with inotify, the new mask takes the place of the old one; what changed meanwhile is still told.
      watched[number] = Watched(path: path, mask: mask, status: old.status, entries: old.entries)
      return number
    }
    let number = number ?? last + 1
    last = max(last, number)
    watched[number] = Watched(
      path: path, mask: mask, status: status, entries: status.isFolder ? Self.entries(path) : [:])
    return number
  }

  mutating func remove(_ watch: Int32) { watched[watch] = nil }

  /// Looks again.
  mutating func changes() -> [FolderWatch.Change] {
    watched.sorted { $0.key < $1.key }.flatMap { number, old -> [FolderWatch.Change] in
      guard let status = Disk.status(old.path), status.inode == old.status.inode else {
        watched[number] = nil
        return [FolderWatch.Change(watch: number, mask: UInt32(IN_IGNORED), name: "")]
      }
      var new = old
      new.status = status
      if status.isFolder { new.entries = Self.entries(old.path) }
      watched[number] = new
      return Self.difference(old, new).map { FolderWatch.Change(watch: number, mask: $0.mask, name: $0.name) }
    }
  }

  private static func entries(_ folder: String) -> [String: Disk.Status] {
    var found: [String: Disk.Status] = [:]
    // A folder that goes meanwhile is seen to be gone at the next look.
    for name in (try? Disk.names(in: folder)) ?? [] { found[name] = Disk.status("\(folder)/\(name)") }
    return found
  }

  private static func difference(_ old: Watched, _ new: Watched) -> [(mask: UInt32, name: String)] {
    var found: [(mask: UInt32, name: String)] = []
    func tell(_ mask: Int..., as name: String) {
      let told = mask.reduce(0) { $0 | UInt32($1) } & new.mask
      if told != 0 { found.append((told, name)) }
    }
    if !new.status.isFolder, new.status != old.status { tell(Int(IN_MODIFY), Int(IN_CLOSE_WRITE), as: "") }
    var names: [Int64: String] = [:]
    for (name, status) in old.entries { names[status.inode] = name }
    for name in old.entries.keys.sorted() where new.entries[name] == nil {
      tell(Int(IN_DELETE), Int(IN_MOVED_FROM), as: name)
    }
    for (name, status) in new.entries.sorted(by: { $0.key < $1.key }) {
      let before = old.entries[name]
      if let before, before.inode == status.inode {
        if before.size != status.size || before.written != status.written {
          tell(Int(IN_MODIFY), Int(IN_CLOSE_WRITE), as: name)
        }
      } else if names[status.inode].map({ $0 != name }) ?? status.wasRenamedSinceWritten {
        tell(Int(IN_MOVED_TO), as: name)
      } else {
        tell(Int(IN_CREATE), as: name)
      }
    }
    return found
  }
}

extension Disk.Status {
  /// The number that the file keeps under each name.
  fileprivate var inode: Int64 { stamp[0] }
  /// When its content changed, in nanoseconds.
  var written: Int64 { stamp[1] * 1_000_000_000 + stamp[2] }
  /// Whether its name changed (or its rights) after its content; false where both were within one tick of the clock.
  var wasRenamedSinceWritten: Bool { stamp[3] * 1_000_000_000 + stamp[4] > written }
}
