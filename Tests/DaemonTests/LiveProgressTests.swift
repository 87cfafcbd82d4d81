import Domain
import Testing
import Wire

@testable import Daemon

@Suite struct LiveProgressTests {
  private let attempt = AttemptID(7)

  private func trouble(_ step: Int, rejected: Bool = false) -> CheckpointTrouble {
    CheckpointTrouble(step: step, isRejected: rejected, reason: "PUT was answered 503")
  }

  @Test func tellsOfTheNewestCheckpointUntilItIsStored() {
    let progress = LiveProgress()
    #expect(progress.checkpointTrouble(of: attempt) == nil)
    progress.note(trouble(10), for: attempt, rank: 1)
    progress.note(trouble(20), for: attempt, rank: 0)
    #expect(progress.checkpointTrouble(of: attempt) == trouble(20))
    #expect(progress.checkpointTrouble(of: AttemptID(8)) == nil)
    progress.stored(step: 15, of: attempt)
    #expect(progress.checkpointTrouble(of: attempt) == trouble(20))
    progress.note(trouble(20, rejected: true), for: attempt, rank: 0)
    #expect(progress.checkpointTrouble(of: attempt)?.isRejected == true)
    progress.stored(step: 20, of: attempt)
    #expect(progress.checkpointTrouble(of: attempt) == nil)
    progress.note(trouble(30), for: attempt, rank: 0)
    progress.forget(attempt)
    #expect(progress.checkpointTrouble(of: attempt) == nil)
  }
}
