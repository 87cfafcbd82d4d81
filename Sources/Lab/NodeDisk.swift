import Glibc

/// The disk of a node: with root a file system of its own size, otherwise a folder whose limit is an agreement.
struct NodeDisk: Sendable {
  let layout: NodeLayout
  let source: String
  let size: Int64
  let isolation: LabRecord.Isolation

  /// Makes the disk usable: mounts it where that is not done and makes the folders that a fresh node has.
  func prepare() async throws {
    try Files.makeFolder(layout.disk)
    if isolation == .namespaces, !MountTable.sources(at: layout.disk).contains(source) {
      let options = "size=\(size),mode=0755,nosuid,nodev"
      try await Command(
        try Programs.find("mount", package: "mount"), ["-t", "tmpfs", "-o", options, source, layout.disk]
      ).checked()
    }
    try Files.makeFolder(layout.home, mode: 0o700)
    try Files.makeFolder(layout.scratch, mode: 0o700)
  }

  /// Destroys everything on it.
  ///
  /// The node must be dead.
  func wipe() async throws {
    // Content first: another name space may hold a copy of the mount, and would keep the data and its memory.
    try Files.removeAll(in: layout.disk)
    try await unmount()
  }

  /// Takes it out of the mount table; not mounted is success.
  func unmount() async throws {
    guard isolation == .namespaces else { return }
    try await MountTable.unmount(all: { $0.target == layout.disk && $0.source == source })
  }
}

/// What this machine has mounted.
enum MountTable {
  struct Entry: Sendable {
    var source: String
    var target: String
  }

  static func entries() -> [Entry] {
    (Files.text("/proc/self/mounts") ?? "").split(separator: "\n").compactMap { line in
      let fields = line.split(separator: " ")
      return fields.count >= 2 ? Entry(source: String(fields[0]), target: String(fields[1])) : nil
    }
  }

  static func sources(at target: String) -> [String] {
    entries().filter { $0.target == target }.map(\.source)
  }

  /// Unmounts what `choose` picks, detaching at once what is still in use.
  static func unmount(all choose: (Entry) -> Bool) async throws {
    for entry in entries().reversed() where choose(entry) {
      try await Command(try Programs.find("umount", package: "mount"), ["--lazy", "--no-canonicalize", entry.target])
        .checked()
    }
  }
}
