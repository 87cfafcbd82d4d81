import Testing
import Wire

@testable import Daemon

/// Who hands out what, as it becomes known.
@Suite(.timeLimit(.minutes(1)))
struct LendingBoardTests {
  private func holder(_ port: Int) -> HoldersOrder.Holder { .init(address: "10.0.0.1", port: port, contentIDs: []) }

  @Test func isCompleteOnceAllHaveSpoken() async {
    let board = LendingBoard(count: 3)
    board.heard(holder(3), from: 2)
    board.heard(nil, from: 1)
    // Its last word is not its first.
    board.heard(nil, from: 2)
    board.heard(holder(1), from: 0)
    let holders = await board.holders(waitingAtMost: .seconds(3600))
    #expect(holders.map(\.port) == [1, 3])
  }

  @Test func waitsForNobodyWhereThereIsNobody() async {
    #expect(await LendingBoard(count: 0).holders(waitingAtMost: .seconds(3600)).isEmpty)
  }

  @Test func doesWithoutWhoIsTooLateAndEndsIt() async {
    let board = LendingBoard(count: 2)
    board.heard(holder(1), from: 0)
    #expect(await board.holders(waitingAtMost: .zero).map(\.port) == [1])
    board.heard(holder(2), from: 1)
    // Returns at once, as its bell has rung.
    await board.stops[1].sleep(atMost: .seconds(3600))
    #expect(await board.holders(waitingAtMost: .zero).map(\.port) == [1])
  }

  @Test func endsAllWhenNobodyIsNeeded() async {
    let board = LendingBoard(count: 2)
    board.end()
    for stop in board.stops { await stop.sleep(atMost: .seconds(3600)) }
  }
}
