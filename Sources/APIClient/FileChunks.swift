import Foundation
import Glibc
import NIOCore

/// A file in pieces of 256 KiB, read away from the cooperative threads.
struct FileChunks: AsyncSequence, Sendable {
  typealias Element = ByteBuffer

  let path: String
  let progress: @Sendable (Int) -> Void

  struct AsyncIterator: AsyncIteratorProtocol {
    let path: String
    let progress: @Sendable (Int) -> Void
    var file: OpenFile?

    mutating func next() async throws -> ByteBuffer? {
      let path = path
      let file: OpenFile
      if let open = self.file { file = open } else { file = try OpenFile(path: path) }
      self.file = file
      let chunk: ByteBuffer? = try await withCheckedThrowingContinuation { continuation in
        DispatchQueue.global().async { continuation.resume(with: Result { try file.read() }) }
      }
      if let chunk { progress(chunk.readableBytes) }
      return chunk
    }
  }

  func makeAsyncIterator() -> AsyncIterator { AsyncIterator(path: path, progress: progress) }
}

/// A file descriptor that is closed with its last reference.
///
/// Read by one iterator at a time.
final class OpenFile: Sendable {
  private let path: String
  private let descriptor: Int32

  init(path: String) throws(ClientFailure) {
    self.path = path
    descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    guard descriptor >= 0 else {
      throw .unreadableFile(path: path, reason: String(cString: strerror(errno)))
    }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  func read() throws(ClientFailure) -> ByteBuffer? {
    var problem: Int32 = 0
    var buffer = ByteBufferAllocator().buffer(capacity: 262_144)
    buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: 262_144) { bytes in
      while true {
        let count = Glibc.read(descriptor, bytes.baseAddress, bytes.count)
        if count >= 0 { return count }
        if errno == EINTR { continue }
        problem = errno
        return 0
      }
    }
    guard problem == 0 else {
      throw .unreadableFile(path: path, reason: String(cString: strerror(problem)))
    }
    return buffer.readableBytes > 0 ? buffer : nil
  }
}
