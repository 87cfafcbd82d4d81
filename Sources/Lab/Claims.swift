import Glibc

/// What only one process of the machine may take at a time.
enum Claims {
  /// Whether this process is the one that has `name` from now on.
  ///
  /// Takes the name of a Unix socket without a file, which the kernel gives to one process, and takes back at its end.
  static func claim(_ name: String) -> Bool {
    let holder = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard holder >= 0 else { return false }
    var place = sockaddr_un()
    place.sun_family = sa_family_t(AF_UNIX)
    // A zero comes first: it makes it a name without a file.
    withUnsafeMutableBytes(of: &place.sun_path) { path in
      for (index, byte) in name.utf8.enumerated() { path[index + 1] = byte }
    }
    let size = socklen_t(MemoryLayout<sa_family_t>.size + 1 + name.utf8.count)
    let isOurs = withUnsafePointer(to: &place) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(holder, $0, size) == 0 }
    }
    if !isOurs { close(holder) }
    return isOurs
  }
}
