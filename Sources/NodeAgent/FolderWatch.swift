import CLinux
import Domain
import Glibc
import ObjectStorage

/// Changes in folders and files; used by one thread.
///
/// Told by inotify. A user has only so many of those (128, on most nodes), which other programs may have taken: then
/// the watch looks for itself, ten times a second. `descriptor` stays the same.
final class FolderWatch {
  struct Change: Hashable {
    /// What `add` returned.
    var watch: Int32
    var mask: UInt32
    /// Of the entry in the folder; empty where the watched thing itself changed.
    var name: String
  }

  /// Readable while there may be changes.
  let descriptor: Int32
  /// What was told before the kernel had no more room for watches.
  private var pending: [Change] = []
  private var watched: [Int32: (path: String, mask: UInt32)] = [:]
  /// Where the kernel does not tell.
  private var glances: FolderGlances?

  /// Whether the kernel tells nothing, so that a rename may look like a folder that was made.
  var looksForItself: Bool { glances != nil }

  private static let glanceEvery = TimeSpan(microseconds: 100_000)

  /// - Parameter asksKernel: false for a watch that looks for itself from the beginning.
  init(asksKernel: Bool = true) throws(SystemError) {
    let told = asksKernel ? inotify_init1(Int32(O_CLOEXEC | O_NONBLOCK)) : -1
    if told >= 0 {
      descriptor = told
    } else {
      if asksKernel, ![EMFILE, ENFILE, ENOMEM].contains(errno) {
        throw SystemError("cannot make", "an inotify", errno: errno)
      }
      descriptor = try Self.timer()
      glances = FolderGlances()
    }
  }

  deinit { close(descriptor) }

  /// Watches a file or a folder for changes in `mask`; the same path again has the same number.
  func add(_ path: String, _ mask: Int32...) throws(SystemError) -> Int32 {
    let mask = mask.reduce(0) { $0 | UInt32(bitPattern: $1) }
    if glances == nil {
      let watch = inotify_add_watch(descriptor, path, mask)
      if watch >= 0 {
        watched[watch] = (path, mask)
        return watch
      }
      guard [ENOSPC, ENOMEM].contains(errno) else { throw SystemError("cannot watch", path, errno: errno) }
      try lookForItself()
    }
    guard let watch = try glances?.add(path, mask) else { throw SystemError("cannot watch", path, errno: ENOENT) }
    return watch
  }

  func remove(_ watch: Int32) {
    watched[watch] = nil
    if glances == nil { inotify_rm_watch(descriptor, watch) } else { glances?.remove(watch) }
  }

  /// All changes since the last call; `mask` has `IN_Q_OVERFLOW` where some were lost.
  func changes() -> [Change] {
    defer { pending = [] }
    guard glances != nil else { return pending + told() }
    var expirations: UInt64 = 0
    while read(descriptor, &expirations, MemoryLayout.size(ofValue: expirations)) > 0 {}
    return pending + (glances?.changes() ?? [])
  }

  /// The kernel has no more room: from now on all that is watched is looked at.
  private func lookForItself() throws(SystemError) {
    let timer = try Self.timer()
    defer { close(timer) }
    pending += told()
    var glances = FolderGlances()
    for (watch, (path, mask)) in watched {
      if (try? glances.add(path, mask, as: watch)) == nil {
        pending.append(Change(watch: watch, mask: UInt32(IN_IGNORED), name: ""))
      }
    }
    if dup3(timer, descriptor, Int32(O_CLOEXEC)) < 0 {
      throw SystemError("cannot make", "a timer in place of an inotify", errno: errno)
    }
    // Between the last word of the kernel and the first look something may have changed.
    pending.append(Change(watch: -1, mask: UInt32(IN_Q_OVERFLOW), name: ""))
    self.glances = glances
  }

  private static func timer() throws(SystemError) -> Int32 {
    let timer = timerfd_create(CLOCK_MONOTONIC, Int32(O_CLOEXEC | O_NONBLOCK))
    let every = timespec(tv_sec: 0, tv_nsec: Int(glanceEvery.microseconds) * 1000)
    var period = itimerspec(it_interval: every, it_value: every)
    guard timer >= 0, timerfd_settime(timer, 0, &period, nil) == 0 else {
      let cause = errno
      if timer >= 0 { close(timer) }
      throw SystemError("cannot make", "a timer in place of an inotify", errno: cause)
    }
    return timer
  }

  private func told() -> [Change] {
    var found: [Change] = []
    while true {
      let bytes = [UInt8](unsafeUninitializedCapacity: 1 << 16) { buffer, count in
        count = max(0, read(descriptor, buffer.baseAddress, buffer.count))
      }
      if bytes.isEmpty { break }
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
    for change in found where change.mask & UInt32(IN_IGNORED) != 0 { watched[change.watch] = nil }
    return found
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
