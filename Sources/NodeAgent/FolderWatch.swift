import Domain
import Glibc
import ObjectStorage

/// Changes in folders and files, by inotify; used by one thread.
final class FolderWatch {
  struct Change {
    /// What `add` returned.
    var watch: Int32
    var mask: UInt32
    /// Of the entry in the folder; empty where the watched thing itself changed.
    var name: String
  }

  let descriptor: Int32

  init() throws(SystemError) {
    descriptor = inotify_init1(Int32(O_CLOEXEC | O_NONBLOCK))
    if descriptor < 0 { throw SystemError("cannot make", "an inotify", errno: errno) }
  }

  deinit { close(descriptor) }

  func add(_ path: String, _ mask: Int32...) throws(SystemError) -> Int32 {
    let watch = inotify_add_watch(descriptor, path, mask.reduce(0) { $0 | UInt32(bitPattern: $1) })
    if watch < 0 { throw SystemError("cannot watch", path, errno: errno) }
    return watch
  }

  func remove(_ watch: Int32) { inotify_rm_watch(descriptor, watch) }

  /// All changes since the last call; `mask` has `IN_Q_OVERFLOW` where some were lost.
  func changes() -> [Change] {
    var found: [Change] = []
    while true {
      let bytes = [UInt8](unsafeUninitializedCapacity: 1 << 16) { buffer, count in
        count = max(0, read(descriptor, buffer.baseAddress, buffer.count))
      }
      if bytes.isEmpty { return found }
      bytes.withUnsafeBytes { buffer in
        var at = 0
        while at + 16 <= buffer.count {
          let length = Int(buffer.loadUnaligned(fromByteOffset: at + 12, as: UInt32.self))
          let name = buffer[(at + 16)..<min(buffer.count, at + 16 + length)].prefix { $0 != 0 }
          found.append(
            Change(
              watch: buffer.loadUnaligned(fromByteOffset: at, as: Int32.self),
              mask: buffer.loadUnaligned(fromByteOffset: at + 4, as: UInt32.self),
              name: String(decoding: name, as: UTF8.self)))
          at += 16 + length
        }
      }
    }
  }
}

/// Waits until one of `descriptors` is readable, or `timeout` is over; nil waits for ever.
func waitReadable(_ descriptors: [Int32], until moment: BootInstant?) -> [Bool] {
  var polled = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
  var timeout: Int32 = -1
  if let moment {
    let left = (moment - BootInstant.now()).microseconds
    timeout = Int32(clamping: left <= 0 ? 0 : min(left / 1000 + 1, 60_000))
  }
  let count = poll(&polled, nfds_t(polled.count), timeout)
  if count <= 0 { return descriptors.map { _ in false } }
  return polled.map { $0.revents != 0 }
}
