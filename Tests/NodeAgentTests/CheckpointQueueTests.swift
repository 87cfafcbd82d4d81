import ObjectStorage
import Testing

@testable import NodeAgent

@Suite struct CheckpointQueueTests {
  private func checkpoint(_ step: Int, _ layout: CheckpointLayout = .whole) -> LocalCheckpoint {
    LocalCheckpoint(step: step, layout: layout, ranks: [0])
  }

  private func gang(_ steps: ClosedRange<Int>) -> CheckpointQueue {
    var queue = CheckpointQueue(keepsAll: true)
    for step in steps { #expect(queue.add(checkpoint(step, .sharded)) == []) }
    return queue
  }

  @Test func ofThoseThatWaitOnlyTheNewestIsStored() {
    var queue = CheckpointQueue(keepsAll: false)
    #expect(queue.add(checkpoint(1)) == [])
    #expect(queue.begin()?.step == 1)
    #expect(queue.add(checkpoint(2)) == [])
    #expect(queue.add(checkpoint(3)) == [checkpoint(2)])
    #expect(queue.begin() == nil)
    #expect(queue.finished(.stored) == [checkpoint(1)])
    #expect(queue.begin()?.step == 3)
  }

  /// One that a program saved before may be found complete after the one that it saved later.
  @Test func anOlderOneThatComesLaterTakesNoNewerOnesPlace() {
    var queue = CheckpointQueue(keepsAll: false)
    #expect(queue.add(checkpoint(1)) == [])
    #expect(queue.begin()?.step == 1)
    #expect(queue.add(checkpoint(8)) == [])
    #expect(queue.add(checkpoint(3)) == [checkpoint(3)])
    #expect(queue.waiting == [checkpoint(8)])
  }

  @Test func aGangStoresAllInTurnWhileItRuns() {
    var queue = gang(1...3)
    #expect(queue.begin()?.step == 1)
    #expect(queue.finished(.partStored) == [checkpoint(1, .sharded)])
    #expect(queue.begin()?.step == 2)
  }

  @Test func atTheEndAWholeOneGivesWayAndComesBackIfTheNewestIsOfNoUse() {
    var queue = CheckpointQueue(keepsAll: false)
    _ = queue.add(checkpoint(1))
    _ = queue.begin()
    _ = queue.add(checkpoint(2))
    let givesWay = queue.closeUp(hasTimeForAnother: true)
    #expect(givesWay)
    #expect(queue.finished(.cancelled) == [])
    #expect(queue.begin()?.step == 2)
    var other = queue
    #expect(queue.finished(.stored).map(\.step) == [2, 1])
    #expect(queue.isEmpty)
    #expect(other.finished(.rejected).map(\.step) == [2])
    #expect(other.begin()?.step == 1)
    #expect(other.finished(.cancelled).map(\.step) == [1])
  }

  @Test func atTheEndNothingGivesWayToWhatHasNoTime() {
    var queue = CheckpointQueue(keepsAll: false)
    _ = queue.add(checkpoint(1))
    _ = queue.begin()
    _ = queue.add(checkpoint(2))
    let givesWay = queue.closeUp(hasTimeForAnother: false)
    #expect(!givesWay)
    #expect(queue.finished(.stored).map(\.step) == [1])
    #expect(queue.begin()?.step == 2)
  }

  @Test func atTheEndAPartUnderWayIsFinishedAndThenTheNewestGoesFirst() {
    var queue = gang(1...4)
    #expect(queue.begin()?.step == 1)
    let givesWay = queue.closeUp(hasTimeForAnother: true)
    #expect(!givesWay)
    #expect(queue.finished(.partStored).map(\.step) == [1])
    #expect(queue.begin()?.step == 4)
    #expect(queue.finished(.partStored).map(\.step) == [4])
    // Perhaps nobody else has step 4: the one before it may be the newest that can be whole.
    #expect(queue.begin()?.step == 3)
    #expect(queue.stepsInParts == [1, 4])
    #expect(queue.finished(.stored).map(\.step) == [3, 2])
    #expect(queue.isEmpty)
  }
}
