import Glibc

/// How long to wait for peers, and what ends the wait early.
struct Patience {
  /// Seconds without any progress after which a peer counts as lost.
  let seconds: Int
  /// Whether the outside wants us to leave; looked at a few times a second.
  let leaving: () -> Bool

  /// The moment at which patience ends, counted from now on the monotonic clock.
  func deadline() -> ContinuousClock.Instant {
    .now + .seconds(seconds)
  }
}

/// One descriptor to wait for, and what became ready.
struct Readiness {
  var descriptor: Int32
  var wantsToRead = false
  var wantsToWrite = false
  /// Set by `wait`: there is something to read, or the stream has ended.
  var canRead = false
  /// Set by `wait`: there is room to write, or the stream has failed.
  var canWrite = false
}

/// Waits until one of `sockets` is ready or `deadline` has passed, in slices of 100 ms at most.
///
/// - Returns: whether one is ready. False also after a slice without any: ask again.
func wait(for sockets: inout [Readiness], until deadline: ContinuousClock.Instant) -> Bool {
  var entries = sockets.map { socket in
    let events = (socket.wantsToRead ? POLLIN : 0) | (socket.wantsToWrite ? POLLOUT : 0)
    return pollfd(fd: socket.descriptor, events: Int16(events), revents: 0)
  }
  let left = max(.zero, min(.milliseconds(100), deadline - .now))
  let milliseconds = Int32(left / .milliseconds(1)) + 1
  // The signal that interrupts a poll may reach another thread, hence the slices instead of one long poll.
  guard poll(&entries, nfds_t(entries.count), milliseconds) > 0 else { return false }
  for (index, entry) in entries.enumerated() {
    let broken = Int32(entry.revents) & (POLLERR | POLLHUP | POLLNVAL) != 0
    sockets[index].canRead = sockets[index].wantsToRead && (broken || Int32(entry.revents) & POLLIN != 0)
    sockets[index].canWrite = sockets[index].wantsToWrite && (broken || Int32(entry.revents) & POLLOUT != 0)
  }
  return true
}
