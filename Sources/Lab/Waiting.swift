import Glibc

/// Waits for something that nobody announces, looking at it often and for a limited time.
enum Waiting {
  /// Whether `condition` came true within `limit`.
  ///
  /// It is looked at once even when `limit` is zero.
  static func succeeds(
    within limit: Duration, every pause: Duration = .milliseconds(10), _ condition: () async throws -> Bool
  ) async throws -> Bool {
    let clock = ContinuousClock()
    let end = clock.now.advanced(by: limit)
    while true {
      if try await condition() { return true }
      if clock.now >= end { return false }
      try await clock.sleep(for: pause)
    }
  }

  /// Returns when `condition` is true; throws `.timedOut` when that takes longer than `limit`.
  static func until(
    _ what: String, within limit: Duration, every pause: Duration = .milliseconds(10), advice: String? = nil,
    _ condition: () async throws -> Bool
  ) async throws {
    guard try await succeeds(within: limit, every: pause, condition) else {
      throw LabError(.timedOut, "waited \(limit) for \(what) in vain", advice: advice)
    }
  }

  /// Runs `body` while holding a lock on `path` that other processes respect; waits up to a minute for it.
  static func locked<T>(_ path: String, _ body: () async throws -> T) async throws -> T {
    let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw Files.failure("open the lock", path) }
    defer { close(file) }
    try await until("the lock \(path)", within: .seconds(60)) {
      if flock(file, LOCK_EX | LOCK_NB) == 0 { return true }
      guard errno == EWOULDBLOCK || errno == EINTR else { throw Files.failure("lock", path) }
      return false
    }
    return try await body()
  }
}
