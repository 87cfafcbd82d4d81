import Foundation

/// Looks at `condition` until it is true; throws when that takes longer than `patience`.
func waitUntil(
  _ what: String, within patience: Duration = .seconds(120), every pause: Duration = .milliseconds(20),
  _ condition: () async throws -> Bool
) async throws {
  guard try await comesTrue(within: patience, every: pause, condition) else {
    throw BenchFailure("waited \(patience) for \(what) in vain")
  }
}

/// Whether `condition` is true within `patience`; it is looked at once at least.
func comesTrue(
  within patience: Duration, every pause: Duration = .milliseconds(20), _ condition: () async throws -> Bool
) async throws -> Bool {
  let end = ContinuousClock.now + patience
  while !(try await condition()) {
    guard ContinuousClock.now < end else { return false }
    try await Task.sleep(for: pause)
  }
  return true
}

/// Returns what `body` returns; throws when that takes longer than `patience`.
func limited<T: Sendable>(
  _ what: String, within patience: Duration, _ body: @escaping @Sendable () async throws -> T
) async throws -> T {
  try await withThrowingTaskGroup(of: T.self) { group in
    group.addTask { try await body() }
    group.addTask {
      try await Task.sleep(for: patience)
      throw BenchFailure("waited \(patience) for \(what) in vain")
    }
    defer { group.cancelAll() }
    guard let first = try await group.next() else { throw CancellationError() }
    return first
  }
}

/// Tells on standard error what a bench does, with the seconds since it began.
struct Progress: Sendable {
  private let name: String
  private let start = ContinuousClock.now

  init(_ name: String) { self.name = name }

  func say(_ text: String) {
    let seconds = String(format: "%6.1f", (ContinuousClock.now - start).inSeconds)
    FileHandle.standardError.write(Data("[\(name) \(seconds) s] \(text)\n".utf8))
  }
}
