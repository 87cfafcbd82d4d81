/// The only place in the tests where time passes by itself; `scripts/check-sources.sh` looks after that.
///
/// All else waits for events: lines, streams, `FileChanges`, `ProcessEnd`.
public enum TestTime {
  /// Lets a moment pass before something is asked again that cannot tell when its answer changes.
  ///
  /// There are two such things: a server that was away, since nothing is there that could say that it is back; and a
  /// process that has ended, since nobody is told when its parent has taken note. `CancellationError` when cancelled.
  public static func beforeAskingAgain() async throws {
    try await Task.sleep(for: .milliseconds(50))
  }

  /// Runs `body`, and cancels it when it has hung for `limit`; what `body` throws then tells what it waited for.
  ///
  /// Throws `Hung` when `body` comes to its end in spite of that.
  public static func limit(_ limit: Duration, _ body: @escaping @Sendable () async throws -> Void) async throws {
    try await withThrowingTaskGroup(of: Bool.self) { group in
      group.addTask {
        try await body()
        return true
      }
      group.addTask {
        try await Task.sleep(for: limit)
        return false
      }
      let isDone = try await group.next() ?? false
      group.cancelAll()
      if isDone { return }
      while let rest = try await group.next() {
        if rest { throw Hung(limit: limit) }
      }
    }
  }

  /// It took longer than only a hang takes.
  public struct Hung: Error, CustomStringConvertible {
    /// How long that is.
    public let limit: Duration

    /// In words.
    public var description: String { "it took longer than \(limit)" }
  }
}
