import Synchronization

/// Pieces that one request brings, one after the other: who waits for one of them hears when it was written.
final class PieceRun: Sendable {
  private struct State {
    /// Bytes that were written, from the start of the run.
    var written: Int64 = 0
    /// Where the last piece that was written as a whole ends.
    var landed: Int64 = 0
    var failure: (any Error)?
    var waiting: [Int: CheckedContinuation<Void, any Error>] = [:]
  }

  let pieces: [Int]
  let file: Int
  let key: String
  let tag: String?
  /// Where in the object it is.
  let range: Range<Int64>
  /// Where in the file it begins.
  let offset: Int64
  /// Where each piece ends, from the start of the run.
  private let ends: [Int: Int64]
  private let state = Mutex(State())

  /// A run of pieces of which each `follows` the one before.
  init(_ pieces: [Int], _ plan: TransferPlan) {
    let first = plan.pieces[pieces[0]].fragments[0]
    var ends: [Int: Int64] = [:]
    var length: Int64 = 0
    for piece in pieces {
      length += Int64(plan.pieces[piece].bytes)
      ends[piece] = length
    }
    self.pieces = pieces
    self.ends = ends
    file = first.file
    key = first.key
    tag = first.tag
    range = first.start..<first.start + length
    offset = first.offset
  }

  /// Where in the file the next bytes belong.
  var position: Int64 { offset + state.withLock { $0.written } }

  /// Returns when `piece` was written; throws what the run failed with.
  func landing(of piece: Int) async throws {
    try await withCheckedThrowingContinuation { continuation in
      let result: Result<Void, any Error>? = state.withLock { state in
        if state.written >= ends[piece] ?? 0 { return .success(()) }
        if let failure = state.failure { return .failure(failure) }
        state.waiting[piece] = continuation
        return nil
      }
      if let result { continuation.resume(with: result) }
    }
  }

  /// So many more bytes were written; where in the file those pieces are that became whole by it, if any.
  func wrote(_ count: Int) -> Range<Int64>? {
    let (range, heard) = state.withLock { state in
      state.written += Int64(count)
      let end = ends.values.filter { $0 <= state.written }.max() ?? 0
      let range = end > state.landed ? offset + state.landed..<offset + end : nil
      state.landed = end
      let done = state.waiting.filter { end >= ends[$0.key] ?? 0 }
      for piece in done.keys { state.waiting[piece] = nil }
      return (range, Array(done.values))
    }
    for one in heard { one.resume() }
    return range
  }

  /// Nothing more comes, because of `failure`.
  func fail(_ failure: any Error) {
    let left = state.withLock { state in
      state.failure = failure
      defer { state.waiting = [:] }
      return Array(state.waiting.values)
    }
    for one in left { one.resume(throwing: failure) }
  }
}
