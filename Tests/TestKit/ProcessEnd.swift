import Dispatch
import Foundation
public import Glibc

/// Waits for processes that need not be children of this one, told by the kernel.
public enum ProcessEnd {
  private typealias Open = @convention(c) (pid_t, UInt32) -> Int32

  /// Swift's module of the C library leaves the header out.
  private static let pidfdOpen = dlsym(nil, "pidfd_open").map { unsafeBitCast($0, to: Open.self) }

  /// Returns when the process has ended, though nobody may have waited for it yet; at once where there is none.
  ///
  /// Throws `CancellationError`, and a `POSIXError` where the kernel is older than Linux 5.3.
  public static func wait(_ pid: pid_t) async throws {
    guard let pidfdOpen else { throw POSIXError(.ENOSYS) }
    let descriptor = pidfdOpen(pid, 0)
    if descriptor < 0, errno == ESRCH { return }
    guard descriptor >= 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
    let (end, ended) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    let source = DispatchSource.makeReadSource(fileDescriptor: descriptor)
    source.setEventHandler { ended.yield() }
    source.setCancelHandler { close(descriptor) }
    source.resume()
    defer { source.cancel() }
    for await _ in end { return }
    throw CancellationError()
  }
}
