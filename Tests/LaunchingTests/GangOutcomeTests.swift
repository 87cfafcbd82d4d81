import Domain
import Testing
import Wire

@testable import Launching

@Suite struct GangOutcomeTests {
  private func outcome(_ events: AgentEvent...) -> GangOutcome? {
    var gang = Gang(events.count)
    gang.runs(on: 0..<events.count)
    for (rank, event) in events.enumerated() { gang.hears(event, from: rank) }
    return gang.outcome
  }

  @Test func aLeaseEndIsNoFailureWhateverTheRanksSay() {
    #expect(outcome(ended([85], stopped: .leaseEnd), ended([85], stopped: .leaseEnd))?.outcome == .leaseEnded)
    #expect(outcome(ended([143], stopped: .leaseEnd))?.outcome == .leaseEnded)
    #expect(outcome(ended([], stopped: .leaseEnd, signal: 9))?.outcome == .leaseEnded)
  }

  @Test func aPersonsWishComesFirst() {
    #expect(outcome(ended([1], stopped: .cancelled), ended([0]))?.outcome == .cancelled)
    #expect(outcome(ended([85], stopped: .timeLimit))?.outcome == .timeout)
  }

  @Test func aJobThatIsDoneIsDoneEvenWhileBeingTold() {
    #expect(outcome(ended([0], stopped: .leaseEnd))?.outcome == .completed)
  }

  @Test func whoLeavesWithZeroAtTheLeasesEndIsToldHowToBeContinued() {
    let told = NodeOutcome.RankExit(rank: 0, code: 0, signal: nil, wasTold: true)
    func leaves(_ cause: StopCause) -> GangOutcome? {
      outcome(.ended(NodeOutcome(stopped: cause, staging: nil, launchError: nil, exits: [told])))
    }
    #expect(leaves(.leaseEnd)?.outcome == .completed)
    #expect(
      leaves(.leaseEnd)?.detail
        == "rank 0 exited 0 after it was told to leave at the lease's end: taken as done; exit 85 to be continued")
    // It was done before it was told.
    #expect(outcome(ended([0], stopped: .leaseEnd))?.detail == "every rank ended with 0")
    #expect(leaves(.gangFailed)?.detail == "every rank ended with 0")
  }

  @Test func aSignalThatWeDidNotSendIsAFailureThatNamesIt() {
    let found = outcome(ended([], signal: 11))
    #expect(found?.outcome == .failed)
    #expect(found?.exitCode == 139)
    #expect(found?.detail.contains("signal 11") == true)
  }

  @Test func theRankThatFailedIsTheCauseAndNotThoseOfItsNodeThatWereTold() {
    let told = NodeOutcome.RankExit(rank: 0, code: nil, signal: 15, wasTold: true)
    func node(_ cause: NodeOutcome.RankExit) -> AgentEvent {
      .ended(NodeOutcome(stopped: nil, staging: nil, launchError: nil, exits: [told, cause]))
    }
    #expect(outcome(node(.init(rank: 1, code: 3, signal: nil)))?.exitCode == 3)
    #expect(outcome(node(.init(rank: 1, code: 85, signal: nil)))?.outcome == .saved)
  }

  @Test func theRankThatFailedIsTheCauseAndNotItsPeers() {
    let found = outcome(ended([75]), ended([3]))
    #expect(found?.outcome == .failed)
    #expect(found?.exitCode == 3)
  }

  @Test func continueMeAndElsewhereAreToldApart() {
    #expect(outcome(ended([85]), ended([85]))?.outcome == .saved)
    #expect(outcome(ended([99]))?.outcome == .saved)
    #expect(outcome(ended([75]), ended([75]))?.outcome == .elsewhere)
  }

  @Test func missingDataIsTheJobsFaultAndADeadStoreOrAFullDiskIsNot() {
    #expect(outcome(ended([], staging: .missing(key: "blobs/ab/abc")))?.stagingFault == .job)
    let full = outcome(ended([], staging: .diskTooSmall(needed: .gibibytes(2), room: .gibibytes(1))))
    #expect(full?.stagingFault == .node)
    let dead = outcome(ended([], staging: .store("it does not answer")))
    #expect(dead?.outcome == .stagingFailed)
    #expect(dead?.stagingFault == .store)
  }

  @Test func aLostNodeExplainsWhatTheOthersDid() {
    var gang = Gang(2)
    gang.runs(on: 0..<2)
    gang.actions += gang.state.lost(nodeRank: 0, "its supervisor was killed")
    #expect(gang.actions == [.stop(nodeRanks: [1], .gangFailed)])
    gang.hears(ended([1]), from: 1)
    #expect(gang.outcome?.outcome == .lost)
    #expect(gang.outcome?.detail.contains("supervisor") == true)
  }

  @Test func aNodeThatWasRescuedIsLostAllTheSameAndItsCheckpointIsNot() {
    var gang = Gang(1)
    gang.runs(on: 0..<1)
    gang.hears(.checkpointLocal(step: 4, bytes: .zero), from: 0)
    gang.hears(.accepted(pid: 9, bootID: "b"), from: 0)
    var killed = gang
    gang.hears(.checkpointStored(stored(4)), from: 0)
    let end = NodeOutcome(stopped: nil, staging: nil, launchError: nil, lost: "its supervisor was killed", exits: [])
    gang.hears(.ended(end), from: 0)
    #expect(gang.actions.contains(.commit(stored(4))))
    #expect(gang.outcome?.outcome == .lost)
    #expect(gang.outcome?.detail == "node rank 0: its supervisor was killed")

    killed.actions = killed.state.lost(nodeRank: 0, "its supervisor was killed")
    #expect(
      killed.outcome?.detail
        == "node rank 0: its supervisor was killed; its checkpoint of step 4 may not have reached the store")
  }

  @Test(
    arguments: [
      ([], ""),
      ([.checkpointStored(stored(4))], ""),
      ([.checkpointLocal(step: 8, bytes: .zero)], "; its checkpoint of step 8 may not have reached the store"),
      (
        [.checkpointLocal(step: 8, bytes: .zero), .checkpointDelayed(step: 8, reason: "PUT was answered 503")],
        "; its checkpoint of step 8 may not have reached the store: PUT was answered 503"
      ),
      (
        [
          .checkpointLocal(step: 4, bytes: .zero), .checkpointDelayed(step: 4, reason: "PUT was answered 503"),
          .checkpointLocal(step: 8, bytes: .zero),
        ], "; its checkpoint of step 8 may not have reached the store: PUT was answered 503"
      ),
      (
        [.checkpointLocal(step: 8, bytes: .zero), .checkpointRejected(step: 8, reason: "it is empty")],
        "; its checkpoint of step 8 is of no use: it is empty"
      ),
      ([.checkpointRejected(step: 4, reason: "it is empty"), .checkpointStored(stored(8))], ""),
      // What was delayed, and is in the store.
      (
        [
          .checkpointLocal(step: 8, bytes: .zero), .checkpointStored(stored(8)),
          .checkpointDelayed(step: 8, reason: ""),
        ], ""
      ),
    ] as [([AgentEvent], String)])
  func anEndTellsWhatBecameOfTheLastSave(events: [AgentEvent], text: String) {
    var gang = Gang(1)
    gang.runs(on: 0..<1)
    for event in events { gang.hears(event, from: 0) }
    var completed = gang
    gang.hears(ended([85], stopped: .leaseEnd), from: 0)
    #expect(gang.outcome?.detail == "the lease ended; every rank saved and left" + text)
    completed.hears(ended([0]), from: 0)
    #expect(completed.outcome?.detail == "every rank ended with 0")
  }
}
