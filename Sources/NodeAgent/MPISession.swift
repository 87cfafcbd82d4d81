import Glibc
import ObjectStorage

/// The folder, in memory, that Open MPI has on this node for one attempt, and how it finds its way back from there.
///
/// Its path is short and without blanks, wherever the agent's own folder is: Open MPI cuts commands at blanks, and puts
/// sockets below it. It goes with the attempt.
struct MPISession: Hashable, Sendable {
  let path: String

  /// That of the attempt of `folder`, be it there or not.
  init(of folder: AttemptFolder) {
    var hash = ContentHash()
    hash.update(Array(folder.path.utf8))
    let base = Disk.status("/dev/shm")?.isFolder == true ? "/dev/shm" : "/tmp"
    path = "\(base)/baton-\(hash.hex().prefix(16))"
  }

  /// Makes it anew, with links to this program and to the attempt's folder.
  func make(for folder: AttemptFolder) throws(SystemError) {
    try remove()
    // Not where somebody else has a folder of this name: anybody may make one there.
    if mkdir(path, 0o700) != 0 { throw SystemError("cannot make", path, errno: errno) }
    guard let program = realpath("/proc/self/exe", nil) else {
      throw SystemError("cannot find", "this program", errno: errno)
    }
    defer { free(program) }
    for (target, name) in [(String(cString: program), "baton-agent"), (folder.path, "attempt")]
    where symlink(target, "\(path)/\(name)") != 0 {
      throw SystemError("cannot link", "\(path)/\(name)", errno: errno)
    }
  }

  /// Removes it; nothing where there is none.
  func remove() throws(SystemError) { try Disk.removeTree(path) }
}
