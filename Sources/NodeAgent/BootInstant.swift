import Domain
import Glibc

/// A moment on the clock that only goes forward, also while the machine sleeps; of no use after a boot.
struct BootInstant: Hashable, Sendable, Comparable {
  /// Microseconds since the boot.
  let microseconds: Int64

  /// The present moment.
  static func now() -> BootInstant {
    var time = timespec()
    clock_gettime(clockid_t(CLOCK_BOOTTIME), &time)
    return BootInstant(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)
  }

  static func < (left: Self, right: Self) -> Bool { left.microseconds < right.microseconds }
  static func + (left: Self, right: TimeSpan) -> Self {
    Self(microseconds: left.microseconds &+ right.microseconds)
  }
  static func - (left: Self, right: TimeSpan) -> Self {
    Self(microseconds: left.microseconds &- right.microseconds)
  }
  static func - (left: Self, right: Self) -> TimeSpan {
    TimeSpan(microseconds: left.microseconds &- right.microseconds)
  }
}

extension Timestamp {
  /// The node's wall clock: for people and logs, never for decisions.
  static func wallClock() -> Timestamp {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Timestamp(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)
  }
}
