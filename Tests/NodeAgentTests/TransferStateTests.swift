import Domain
import ObjectStorage
import Testing

@testable import NodeAgent

/// What a transfer does next, without doing it.
@Suite struct TransferStateTests {
  /// Eight files of one piece each; node 0 of 2 owns the even ones.
  private let plan = TransferPlan(
    (0..<8).map { TransferFile(path: "f\($0)", size: 10, checksum: nil, key: "k\($0)") }, pieceSize: 10)

  private func state(_ change: (inout TransferState.Limits) -> Void = { _ in }) -> TransferState {
    var limits = TransferState.Limits()
    limits.storeLanes = 2
    limits.patience = .seconds(5)
    limits.grace = .seconds(10)
    change(&limits)
    return TransferState(plan, rank: 0, count: 2, limits: limits)
  }

  private func stored(_ pieces: Int...) -> [TransferState.Work] { pieces.map { .store(piece: $0, comparing: false) } }

  /// Brings pieces from the store and flushes them.
  private func finish(_ state: inout TransferState, _ pieces: [Int], at now: TimeSpan) {
    for piece in pieces { #expect(state.written(piece, from: nil, right: [], wrong: [], at: now) == nil) }
    state.flushed(pieces)
  }

  @Test func bringsItsOwnShareFirst() {
    var state = state()
    #expect(state.next(at: .zero) == stored(0, 2))
    _ = state.written(0, from: nil, right: [], wrong: [], at: .seconds(1))
    #expect(state.next(at: .seconds(1)) == [.flush([0])] + stored(4))
    // What is written while a flush is under way waits for the next one.
    _ = state.written(2, from: nil, right: [], wrong: [], at: .seconds(1))
    #expect(state.next(at: .seconds(1)) == stored(6))
    state.flushed([0])
    #expect(state.next(at: .seconds(1)) == [.flush([2])])
  }

  @Test func asksForNeighboursByOneRequestWhereThereIsEnoughForAllLanes() {
    var limits = TransferState.Limits()
    limits.storeLanes = 2
    let plan = TransferPlan([TransferFile(path: "f", size: 240, checksum: nil, key: "k")], pieceSize: 10)
    var state = TransferState(plan, limits: limits)
    #expect(state.next(at: .zero) == [.run([0, 1, 2, 3]), .run([4, 5, 6, 7])])
    for piece in 0...2 { _ = state.written(piece, from: nil, right: [], wrong: [], at: .seconds(1)) }
    // Its last piece is still to come.
    #expect(state.next(at: .seconds(1)) == [.flush([0, 1, 2])])
    _ = state.written(3, from: nil, right: [], wrong: [], at: .seconds(1))
    #expect(state.next(at: .seconds(1)) == [.run([8, 9, 10])])
    for piece in 4...7 { _ = state.written(piece, from: nil, right: [], wrong: [], at: .seconds(2)) }
    #expect(state.next(at: .seconds(2)) == [.run([11, 12, 13])])
  }

  @Test func putsPiecesOfOneFileOnlyIntoARequest() {
    var limits = TransferState.Limits()
    limits.storeLanes = 1
    let files = ["a", "b", "c", "d"].map { TransferFile(path: $0, size: 30, checksum: nil, key: $0) }
    var state = TransferState(TransferPlan(files, pieceSize: 10), limits: limits)
    #expect(state.next(at: .zero) == [.run([0, 1, 2])])
    for piece in 0...2 { _ = state.written(piece, from: nil, right: [], wrong: [], at: .zero) }
    #expect(state.next(at: .zero) == [.flush([0, 1, 2]), .run([3, 4, 5])])
    // Alternate pieces are another node's.
    state = TransferState(TransferPlan(files, pieceSize: 10), rank: 0, count: 2, limits: limits)
    #expect(state.next(at: .zero) == stored(0))
  }

  @Test func bringsThePeersShareFromItsFarEndOnlyWhenPatienceIsOver() {
    var state = state()
    #expect(state.next(at: .zero) == stored(0, 2))
    finish(&state, [0, 2], at: .seconds(1))
    #expect(state.next(at: .seconds(1)).filter { $0 != .flush([0, 2]) } == stored(4, 6))
    finish(&state, [4, 6], at: .seconds(2))
    #expect(state.next(at: .seconds(4)).filter { if case .flush = $0 { false } else { true } } == [])
    #expect(state.waitsForPeers)
    #expect(state.next(at: .seconds(5)) == stored(7, 5))
    // It is heard of after all: what is left is asked of it.
    state.peersAreKnown([1], at: .seconds(6))
    #expect(state.next(at: .seconds(6)) == [.peer(piece: 1, rank: 1), .peer(piece: 3, rank: 1)])
  }

  @Test func bringsItsShareBeforeThatOfPeersOfWhomNothingIsKnown() {
    var state = state { $0.patience = .zero }
    func asked(at now: TimeSpan) -> [TransferState.Work] {
      state.next(at: now).filter { if case .flush = $0 { false } else { true } }
    }
    #expect(asked(at: .zero) == stored(0, 2))
    finish(&state, [0, 2], at: .seconds(9))
    #expect(asked(at: .seconds(9)) == stored(4, 6))
    finish(&state, [4], at: .seconds(10))
    #expect(asked(at: .seconds(10)) == [], "6 is on its way, and perhaps the peers are heard of until it is there")
    finish(&state, [6], at: .seconds(11))
    #expect(asked(at: .seconds(11)) == stored(7, 5))
  }

  @Test func asksTheStoreForFewPiecesAtOnceWhereManyNodesDo() {
    let plan = TransferPlan(
      (0..<80).map { TransferFile(path: "f\($0)", size: 10, checksum: nil, key: "k\($0)") }, pieceSize: 10)
    func begun(_ count: Int, _ change: (inout TransferState) -> Void = { _ in }) -> Int {
      var state = TransferState(plan, rank: 0, count: count)
      change(&state)
      return state.next(at: .zero).count { if case .store = $0 { true } else { false } }
    }
    #expect([1, 2, 4, 8, 16].map { begun($0) } == [6, 4, 2, 1, 1])
    // Alone after all.
    #expect(begun(8) { $0.peersAreKnown([], at: .zero) } == 6)
  }

  @Test func asksAgainForWhatAPeerHasNotYetUntilItIsLate() {
    var state = state { $0.peerLanes = 1 }
    state.peersAreKnown([1], at: .zero)
    _ = state.next(at: .zero)
    finish(&state, [0, 2], at: .seconds(4))
    // Two in four seconds: a peer at half that speed has its first after four, and ten of grace.
    #expect(state.failed(1, from: 1, .notYet, at: .seconds(13)) == false)
    #expect(state.next(at: .seconds(13)).contains(.peer(piece: 1, rank: 1)) == true)
    #expect(state.failed(1, from: 1, .notYet, at: .seconds(15)) == false)
    let next = state.next(at: .seconds(15))
    #expect(next.contains(.peer(piece: 3, rank: 1)))
    #expect(!next.contains(.peer(piece: 1, rank: 1)))
    finish(&state, [4], at: .seconds(16))
    #expect(state.next(at: .seconds(16)).contains(.store(piece: 1, comparing: false)) == true)
  }

  @Test func asksAPeerThatFailsAgainAndAgainNothingMore() {
    var state = state { $0.strikes = 2 }
    state.peersAreKnown([1], at: .zero)
    _ = state.next(at: .zero)
    #expect(state.failed(1, from: 1, .gone, at: .zero) == false)
    #expect(state.next(at: .zero) == [.peer(piece: 5, rank: 1)])
    #expect(state.failed(3, from: 1, .gone, at: .zero) == false)
    #expect(state.next(at: .zero) == [])
    #expect(!state.waitsForPeers)
  }

  @Test func tellsOfALiarOnce() {
    var state = state()
    state.peersAreKnown([1], at: .zero)
    _ = state.next(at: .zero)
    #expect(state.failed(1, from: 1, .lied("x"), at: .zero) == true)
    #expect(state.failed(3, from: 1, .lied("x"), at: .zero) == false)
  }

  @Test func blamesPeersBeforeTheStoreForAFileThatIsWrong() throws {
    let checksum = Checksum.sha256(String(repeating: "0", count: 64))
    let other = try #require(ChecksumHash(like: checksum))
    let plan = TransferPlan([TransferFile(path: "f", size: 40, checksum: checksum, key: "k")], pieceSize: 10)
    var state = TransferState(plan, rank: 0, count: 2)
    state.peersAreKnown([1], at: .zero)
    _ = state.next(at: .zero)
    for piece in 0..<4 {
      _ = state.written(piece, from: piece % 2 == 0 ? nil : 1, right: [], wrong: [], at: .seconds(1))
    }
    _ = state.next(at: .seconds(1))
    state.flushed([0, 1, 2, 3])
    #expect(state.next(at: .seconds(1)) == [.hash(file: 0, pieces: [0, 1, 2, 3])])
    #expect(state.hashed(0, other, count: 4) == .again(dropped: [1, 3]))
    #expect(
      state.next(at: .seconds(1)) == [
        .hash(file: 0, pieces: [0]), .store(piece: 1, comparing: true), .store(piece: 3, comparing: true),
      ])
    #expect(state.hashed(0, other, count: 1) == nil)
    #expect(state.suspect(of: 1) == 1)

    // Wrong once more: now all of it comes from the store, and then the object is corrupt.
    for piece in [1, 3] { _ = state.written(piece, from: nil, right: [], wrong: [], at: .seconds(2)) }
    _ = state.next(at: .seconds(2))
    state.flushed([1, 3])
    #expect(state.next(at: .seconds(2)) == [.hash(file: 0, pieces: [1, 2, 3])])
    #expect(state.hashed(0, other, count: 3) == .again(dropped: [0, 1, 2, 3]))
    _ = state.next(at: .seconds(2))
    for piece in 0..<4 { _ = state.written(piece, from: nil, right: [], wrong: [], at: .seconds(3)) }
    _ = state.next(at: .seconds(3))
    state.flushed([0, 1, 2, 3])
    _ = state.next(at: .seconds(3))
    #expect(state.hashed(0, other, count: 4) == .corrupt)
  }

  @Test func isDoneWhenAllIsFlushedAndVerified() {
    var state = TransferState(plan, finished: [0, 1, 2, 3, 4, 5, 6], rank: 0, count: 1)
    #expect(!state.isDone)
    #expect(state.bytesFinished == 70)
    #expect(state.next(at: .zero) == stored(7))
    _ = state.written(7, from: nil, right: [], wrong: [], at: .zero)
    #expect(!state.isDone)
    #expect(state.next(at: .zero) == [.flush([7])])
    state.flushed([7])
    #expect(state.isDone)
  }
}
