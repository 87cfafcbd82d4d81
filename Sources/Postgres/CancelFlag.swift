import Glibc
import Synchronization

/// Wakes a thread that waits in `poll`, from any other thread: a socket to itself
/// (Swift's Glibc has no `eventfd`, and no `pipe2` to keep the descriptors out of child processes).
final class WakeSignal: Sendable {
  /// Readable after `raise`; -1 when the process is out of descriptors, which `poll` ignores.
  let descriptor: Int32
  private let writeEnd: Int32

  init() {
    var ends: [Int32] = [-1, -1]
    let kind = SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue
    _ = socketpair(AF_UNIX, Int32(kind), 0, &ends)
    descriptor = ends[0]
    writeEnd = ends[1]
  }

  deinit {
    if descriptor >= 0 { close(descriptor) }
    if writeEnd >= 0 { close(writeEnd) }
  }

  func raise() {
    var byte: UInt8 = 1
    // A full socket wakes as well as one more byte would.
    _ = write(writeEnd, &byte, 1)
  }

  func clear() {
    var bytes: [UInt8] = Array(repeating: 0, count: 64)
    while read(descriptor, &bytes, bytes.count) > 0 {}
  }
}

/// One statement's wish to stop, raised by the cancellation of its task.
final class CancelFlag: Sendable {
  private let raised = Atomic<Bool>(false)
  private let wake: WakeSignal

  init(wake: WakeSignal) {
    self.wake = wake
  }

  var isRaised: Bool { raised.load(ordering: .acquiring) }

  func raise() {
    raised.store(true, ordering: .releasing)
    wake.raise()
  }
}
