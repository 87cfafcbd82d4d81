import Dispatch
import Glibc

/// A file read in large pieces on a queue of its own, because reading from a disk blocks.
///
/// `@unchecked`: the descriptor never changes, and `pread` keeps no position.
final class LocalFile: @unchecked Sendable {
  let size: Int
  private let descriptor: Int32
  private let queue = DispatchQueue(label: "local file")

  /// Opens a regular file for reading.
  init(_ path: String, for endpoint: SSHEndpoint) throws(SSHError) {
    descriptor = open(path, O_RDONLY | O_CLOEXEC)
    var status = stat()
    guard descriptor >= 0, fstat(descriptor, &status) == 0 else {
      let detail = "\(path): \(SystemFailure(number: errno).message)"
      if descriptor >= 0 { close(descriptor) }
      throw SSHError(.localFileUnreadable, endpoint: endpoint, detail: detail)
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      throw SSHError(.localFileUnreadable, endpoint: endpoint, detail: "\(path) is not a regular file")
    }
    size = Int(status.st_size)
  }

  deinit { close(descriptor) }

  /// Up to `count` bytes from `offset`; fewer only at the end of the file.
  func read(at offset: Int, count: Int, for endpoint: SSHEndpoint) async throws -> [UInt8] {
    try await withCheckedThrowingContinuation { waiter in
      queue.async { [self] in
        var failure: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
          while filled < count {
            let got = pread(descriptor, buffer.baseAddress.map { $0 + filled }, count - filled, offset + filled)
            if got > 0 {
              filled += got
            } else if got == 0 || errno != EINTR {
              failure = got == 0 ? 0 : errno
              break
            }
          }
        }
        if failure == 0 {
          waiter.resume(returning: bytes)
        } else {
          let detail = SystemFailure(number: failure).message
          waiter.resume(throwing: SSHError(.localFileUnreadable, endpoint: endpoint, detail: detail))
        }
      }
    }
  }
}
