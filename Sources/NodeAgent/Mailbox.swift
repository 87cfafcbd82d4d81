import CLinux
import Glibc
import ObjectStorage
import Synchronization

/// Messages from any thread to the supervisor's main thread, which waits for them with `poll`.
final class Mailbox<Message: Sendable>: Sendable {
  /// Readable while there are messages.
  let descriptor: Int32
  private let messages = Mutex<[Message]>([])

  init() throws(SystemError) {
    descriptor = eventfd(0, Int32(O_CLOEXEC | O_NONBLOCK))
    if descriptor < 0 { throw SystemError("cannot make", "an eventfd", errno: errno) }
  }

  deinit { close(descriptor) }

  func post(_ message: Message) {
    messages.withLock { $0.append(message) }
    var one: UInt64 = 1
    _ = withUnsafeBytes(of: &one) { write(descriptor, $0.baseAddress, $0.count) }
  }

  /// All messages, oldest first.
  func take() -> [Message] {
    var count: UInt64 = 0
    _ = withUnsafeMutableBytes(of: &count) { read(descriptor, $0.baseAddress, $0.count) }
    return messages.withLock { messages in
      defer { messages = [] }
      return messages
    }
  }
}
