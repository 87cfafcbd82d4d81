import Domain
import ObjectStorage
import Testing

@testable import NodeAgent

/// Whom a transfer asks where other nodes hold all of it.
@Suite struct HolderStateTests {
  private static let checksum = Checksum.sha256(String(repeating: "0", count: 64))
  /// Eight files of one piece of ten bytes each; of the last nobody knows a checksum.
  private let plan = TransferPlan(
    (0..<8).map {
      TransferFile(path: "f\($0)", size: 10, checksum: $0 < 7 ? Self.checksum : nil, key: "k\($0)")
    }, pieceSize: 10)

  private func state(
    _ holders: [Int] = [1], count: Int = 1, least: Int64 = 0, _ change: (inout TransferState.Limits) -> Void = { _ in }
  ) -> TransferState {
    var limits = TransferState.Limits()
    limits.storeLanes = 2
    limits.holderLanes = 2
    limits.grace = .seconds(10)
    change(&limits)
    return TransferState(
      plan, rank: 0, count: count, holders: TransferHolders(ranks: holders, least: ByteCount(least)), limits: limits)
  }

  private func asked(_ state: inout TransferState, at now: TimeSpan = .zero) -> [TransferState.Work] {
    state.next(at: now).filter { if case .flush = $0 { false } else { true } }
  }

  private func stored(_ pieces: Int...) -> [TransferState.Work] { pieces.map { .store(piece: $0, comparing: false) } }

  private func give(_ state: inout TransferState, _ piece: Int, from rank: Int?, at now: TimeSpan = .zero) {
    #expect(state.written(piece, from: rank, right: [piece], wrong: [], at: now) == nil)
  }

  @Test func asksTheStoreOnlyForWhatNothingProves() {
    var state = state()
    #expect(asked(&state) == [.peer(piece: 0, rank: 1), .peer(piece: 1, rank: 1)] + stored(7))
    give(&state, 0, from: 1)
    #expect(asked(&state) == [.peer(piece: 2, rank: 1)])
    #expect(state.waitsForPeers)
  }

  @Test func asksWhoHasLeastToDo() {
    var state = state([1, 2])
    #expect(
      asked(&state) == [
        .peer(piece: 0, rank: 1), .peer(piece: 1, rank: 2), .peer(piece: 2, rank: 1), .peer(piece: 3, rank: 2),
      ] + stored(7))
    give(&state, 3, from: 2)
    #expect(asked(&state) == [.peer(piece: 4, rank: 2)])
  }

  @Test func asksForLittleAtOnceWhereManyNodesDo() {
    let plan = TransferPlan(
      (0..<800).map { TransferFile(path: "f\($0)", size: 10, checksum: Self.checksum, key: "k") }, pieceSize: 10)
    let asked = [1, 2, 4, 8, 16, 64].map { count in
      var state = TransferState(plan, rank: 0, count: count, holders: TransferHolders(ranks: [count]))
      return state.next(at: .zero).count
    }
    #expect(asked == [4, 4, 4, 2, 1, 1])
  }

  @Test func asksHoldersForItsOwnShareAndPeersForTheRest() {
    var state = state([2], count: 2)
    state.peersAreKnown([1], at: .zero)
    #expect(
      asked(&state) == [
        .peer(piece: 0, rank: 2), .peer(piece: 2, rank: 2), .peer(piece: 1, rank: 1), .peer(piece: 3, rank: 1),
      ])
    // What a peer owed comes from the holder, too.
    for piece in [1, 3] { #expect(state.failed(piece, from: 1, .gone, at: .zero) == false) }
    for piece in [0, 2] { give(&state, piece, from: 2) }
    #expect(asked(&state).contains(.peer(piece: 4, rank: 2)))
    for piece in [5, 7] { #expect(state.failed(piece, from: 1, .gone, at: .zero) == false) }
    #expect(asked(&state) == stored(7), "three times in a row, and nothing proves the last one")
    for piece in [4, 6] { give(&state, piece, from: 2) }
    #expect(asked(&state) == [.peer(piece: 1, rank: 2), .peer(piece: 3, rank: 2)])
  }

  @Test func bringsTheRestFromTheStoreWhenAllAreGone() {
    var state = state([1, 2]) { $0.strikes = 1 }
    _ = asked(&state)
    give(&state, 7, from: nil)
    #expect(state.failed(0, from: 1, .gone, at: .zero) == false)
    #expect(state.failed(2, from: 1, .gone, at: .zero) == false)
    #expect(asked(&state) == [], "the other one is asked for them when it has a moment")
    give(&state, 1, from: 2)
    #expect(asked(&state) == [.peer(piece: 4, rank: 2)])
    for piece in [3, 4] { #expect(state.failed(piece, from: 2, .gone, at: .zero) == false) }
    #expect(asked(&state) == stored(5, 6))
    for piece in [5, 6] { give(&state, piece, from: nil) }
    #expect(asked(&state) == stored(0, 2))
    for piece in [0, 2] { give(&state, piece, from: nil) }
    #expect(asked(&state) == stored(3, 4))
  }

  @Test func asksAgainForWhatIsNotThereYetHoweverOften() {
    var state = state()
    _ = asked(&state)
    for _ in 1...20 {
      var works = asked(&state)
      if works.isEmpty { works = [.peer(piece: 0, rank: 1), .peer(piece: 1, rank: 1)] }
      for case .peer(let piece, let rank) in works {
        #expect(rank == 1)
        #expect(state.failed(piece, from: 1, .notYet, at: .seconds(1)) == false)
      }
    }
    #expect(asked(&state).count == 2, "it makes itself ready, and nobody says that it is slow")
  }

  @Test func doesWithoutHoldersThatGiveTooLittle() {
    // Four pieces in the first window of ten seconds are what is asked for.
    var state = state(least: 4)
    _ = asked(&state)
    for piece in [0, 1] { give(&state, piece, from: 1, at: .seconds(5)) }
    #expect(asked(&state, at: .seconds(9)) == [.peer(piece: 2, rank: 1), .peer(piece: 3, rank: 1)])
    give(&state, 7, from: nil, at: .seconds(9))
    #expect(asked(&state, at: .seconds(10)) == stored(4, 5), "two pieces and the one on its way are less than four")
    // What was asked for may still come; what does not comes from the store, too.
    give(&state, 2, from: 1, at: .seconds(11))
    #expect(state.failed(3, from: 1, .gone, at: .seconds(12)) == false)
    for piece in [4, 5] { give(&state, piece, from: nil, at: .seconds(13)) }
    #expect(asked(&state, at: .seconds(13)) == stored(6, 3))
  }

  @Test func keepsHoldersThatAreFastEnough() {
    var state = state(least: 2)
    _ = asked(&state)
    for piece in [0, 1] { give(&state, piece, from: 1, at: .seconds(5)) }
    _ = asked(&state, at: .seconds(9))
    give(&state, 2, from: 1, at: .seconds(12))
    #expect(asked(&state, at: .seconds(20)) == [.peer(piece: 4, rank: 1)], "each window is judged by itself")
  }

  @Test func givesAHolderNoLongerForAPieceThanAllOfThemHaveForFour() {
    #expect(state(least: 4).sendLimit(of: 1) == .seconds(10))
    #expect(state(least: 1).sendLimit(of: 1) == .seconds(40))
    #expect(state([1, 2], least: 1).sendLimit(of: 1) == .seconds(80))
    #expect(state([2], count: 2, least: 1).sendLimit(of: 1) == .seconds(40), "a peer of which nothing is known")
  }

  @Test func tellsOfALiarOnceAndBelievesTheStore() {
    var state = state()
    _ = asked(&state)
    #expect(state.failed(0, from: 1, .lied("x"), at: .zero) == true)
    #expect(state.failed(1, from: 1, .lied("x"), at: .zero) == false)
    give(&state, 7, from: nil)
    #expect(asked(&state) == stored(2, 3))
  }

  /// Two pieces: one from a holder, one that a peer had from a holder that lies.
  @Test func blamesNobodyForWhatHePassedOn() throws {
    let other = try #require(ChecksumHash(like: Self.checksum))
    let plan = TransferPlan([TransferFile(path: "f", size: 20, checksum: Self.checksum, key: "k")], pieceSize: 10)
    var state = TransferState(plan, rank: 0, count: 2, holders: TransferHolders(ranks: [2]))
    state.peersAreKnown([1], at: .zero)
    #expect(state.next(at: .zero) == [.peer(piece: 0, rank: 2), .peer(piece: 1, rank: 1)])
    _ = state.written(0, from: 2, right: [], wrong: [], at: .zero)
    _ = state.written(1, from: 1, isSecondHand: true, right: [], wrong: [], at: .zero)
    _ = state.next(at: .zero)
    state.flushed([0, 1])
    _ = state.next(at: .zero)
    #expect(state.hashed(0, other, count: 2) == .again(dropped: [0, 1]))
    let again = state.next(at: .zero)
    #expect(again.contains(.store(piece: 0, comparing: true)) && again.contains(.store(piece: 1, comparing: false)))
    #expect(state.suspect(of: 0) == 2)
    #expect(state.suspect(of: 1) == nil)
    #expect(state.distrust(2) == true)
    #expect(state.distrust(2) == false)
  }
}
