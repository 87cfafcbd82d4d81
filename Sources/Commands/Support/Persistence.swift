import APIClient
import Wire

/// Goes on with what a server streams, over restarts of the server and broken connections.
struct Persistence: Sendable {
  /// How often in a row the server may be away until it is given up, at a second each.
  var triesMost = 60

  /// Calls `read` until it says that all was read.
  ///
  /// `read` opens the stream behind what it has had, and calls its argument at every sign of progress. It returns
  /// whether it came to the end, false where the stream just ended.
  ///
  /// - Throws: what `read` throws, but connection trouble only after `triesMost` tries without progress.
  func go(_ read: (_ progressed: () -> Void) async throws -> Bool) async throws {
    var tries = 0
    while true {
      do {
        if try await read({ tries = 0 }) { return }
        // A server that stops ends its streams; it may never come back.
        if tries >= triesMost {
          throw ClientFailure.interrupted(request: "following", reason: "the server ended it \(triesMost) times")
        }
      } catch let failure as ClientFailure {
        guard failure.isConnectionTrouble || failure.refusal?.code == .unavailable, tries < triesMost else {
          throw failure
        }
      }
      tries += 1
      try await Task.sleep(for: .seconds(1))
    }
  }
}
