import Glibc
import ObjectStorage

/// Holds a lock across `await`s: one that the kernel gives back when its holder lets go, or is no more.
final class LockHolder: Sendable {
  private let file: Descriptor
  /// How often is looked whether the lock is free: nothing tells, and who waits in the kernel hears nothing else.
  private static let pause = Duration.milliseconds(100)

  private init(_ file: consuming Descriptor) { self.file = file }

  /// Takes the lock at `path`, however long another process has it; `waiting` is called whenever that is found so.
  ///
  /// Throws `SystemError`, what `waiting` throws, and `CancellationError` as soon as it is cancelled.
  static func hold(_ path: String, waiting: () async throws -> Void = {}) async throws -> LockHolder {
    let file = try Disk.open(path, O_RDWR | O_CREAT)
    while flock(file.raw, LOCK_EX | LOCK_NB) != 0 {
      let code = errno
      guard code != EINTR else { continue }
      guard code == EWOULDBLOCK else { throw SystemError("cannot lock", path, errno: code) }
      try await waiting()
      try await Task.sleep(for: pause)
    }
    return LockHolder(file)
  }

  func release() { flock(file.raw, LOCK_UN) }
}
