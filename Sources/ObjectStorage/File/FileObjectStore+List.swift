import Glibc

extension FileObjectStore {
  /// Walks the folders that can hold such keys; see `ObjectStore`.
  public func list(
    prefix: String, after marker: String?, limit: Int
  ) async throws(ObjectStoreError) -> ObjectPage {
    try await pool.run { () throws(ObjectStoreError) in
      try requireRoot(key: prefix)
      let most = min(max(1, limit), Int.max - 1)
      // One more than asked for tells whether this is the last page.
      var walk = Walk(prefix: Array(prefix.utf8), marker: marker.map { Array($0.utf8) }, limit: most + 1)
      do throws(SystemError) { try walk.enter(root, key: "", isRoot: true) } catch {
        throw ObjectStoreError(error, key: prefix)
      }
      var entries = walk.found
      let isWhole = entries.count <= most
      if !isWhole { entries.removeLast() }
      return ObjectPage(entries: entries, next: isWhole ? nil : entries.last?.key)
    }
  }
}

/// A walk in the order of keys that opens only folders that can hold what is looked for, and holds the names of
/// one folder for each level.
private struct Walk {
  let prefix: [UInt8]
  let marker: [UInt8]?
  let limit: Int
  var found: [ObjectInfo] = []

  /// `key` is that of the folder, with a slash at its end.
  mutating func enter(_ folder: String, key: String, isRoot: Bool) throws(SystemError) {
    let names: [String]
    do {
      names = try Disk.names(in: folder)
    } catch {
      // Pruned, or replaced, since its name was read.
      if error.code == ENOENT || error.code == ENOTDIR, !isRoot { return }
      throw error
    }
    var children: [(key: String, name: String, status: Disk.Status)] = []
    for name in names where !(isRoot && name == FileObjectStore.reserved) {
      guard canHold(key + name) else { continue }
      guard let status = Disk.status("\(folder)/\(name)"), status.isFile || status.isFolder else { continue }
      // A folder sorts as its name and a slash: `a-b` comes before all of `a/`.
      children.append((key + name + (status.isFolder ? "/" : ""), name, status))
    }
    children.sort { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    for child in children {
      if found.count >= limit { return }
      let bytes = Array(child.key.utf8)
      if child.status.isFile {
        guard bytes.starts(with: prefix), marker.map({ $0.lexicographicallyPrecedes(bytes) }) ?? true else { continue }
        found.append(ObjectInfo(key: child.key, size: child.status.size, tag: child.status.tag, checksum: nil))
      } else {
        if let marker, !marker.starts(with: bytes), bytes.lexicographicallyPrecedes(marker) { continue }
        try enter("\(folder)/\(child.name)", key: child.key, isRoot: false)
      }
    }
  }

  /// Whether something at or below `key` can start with the prefix.
  private func canHold(_ key: String) -> Bool {
    let bytes = Array(key.utf8)
    return bytes.starts(with: prefix) || prefix.starts(with: bytes)
  }
}
