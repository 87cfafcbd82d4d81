import Domain
import Testing
import Wire

@testable import Launching

/// A gang of `count` nodes, and what came of what its nodes said.
private struct Gang {
  var state: GangState
  var actions: [GangState.Action] = []

  init(_ count: Int) { state = GangState(nodeCount: count, stagingTotal: .mebibytes(1)) }

  mutating func hears(_ event: AgentEvent, from rank: Int) { actions += state.received(event, from: rank) }

  mutating func runs(on ranks: Range<Int>) {
    for rank in ranks { hears(.staged(port: 7000 + rank, bytes: .zero, took: .zero), from: rank) }
    for rank in ranks { hears(.launched(pids: [1]), from: rank) }
    actions = []
  }

  var outcome: GangOutcome? {
    for case .finish(let outcome) in actions { return outcome }
    return nil
  }
}

private func ended(
  _ codes: [Int32], stopped: StopCause? = nil, signal: Int32? = nil, staging: StagingFailure? = nil,
  launchError: String? = nil
) -> AgentEvent {
  var exits = codes.enumerated().map { NodeOutcome.RankExit(rank: $0.offset, code: $0.element, signal: nil) }
  if let signal { exits.append(.init(rank: codes.count, code: nil, signal: signal)) }
  return .ended(NodeOutcome(stopped: stopped, staging: staging, launchError: launchError, exits: exits))
}

private func stored(_ step: Int) -> StoredCheckpoint {
  StoredCheckpoint(
    step: step, prefix: "", manifestSHA256: "", bytes: .zero, saveTook: nil, uploadTook: .zero, isFinal: false)
}

@Suite struct GangStateTests {
  @Test func launchesOnlyWhenEveryNodeIsStagedAndThenOnce() {
    var gang = Gang(2)
    gang.hears(.staged(port: 7001, bytes: .zero, took: .zero), from: 1)
    #expect(gang.actions.isEmpty)
    gang.hears(.staged(port: 7000, bytes: .zero, took: .zero), from: 0)
    #expect(gang.actions == [.launch(LaunchNotice(masterPort: 7000))])
    gang.hears(.staged(port: 7000, bytes: .zero, took: .zero), from: 0)
    #expect(gang.actions.count == 1)
  }

  /// A rank whose peer is gone fails too, soon after it.
  @Test func namesTheRankThatFailedFirstWithItsLastWords() {
    var gang = Gang(2)
    gang.runs(on: 0..<2)
    let second = NodeOutcome.RankExit(rank: 1, code: 1, signal: nil, lastWords: "ValueError: no such layer")
    gang.hears(.rankEnded(rank: 1, code: 1, signal: nil), from: 1)
    gang.hears(.rankEnded(rank: 0, code: 1, signal: nil), from: 0)
    let first = NodeOutcome.RankExit(rank: 0, code: 1, signal: nil, lastWords: "connection closed by peer")
    for (node, exit) in [first, second].enumerated() {
      gang.hears(.ended(NodeOutcome(stopped: nil, staging: nil, launchError: nil, exits: [exit])), from: node)
    }
    #expect(gang.outcome?.outcome == .failed)
    #expect(gang.outcome?.detail == "rank 1 ended with exit code 1: ValueError: no such layer")
  }

  @Test func namesTheHelperThatFailedAndHasTheOthersStopped() {
    var gang = Gang(2)
    gang.runs(on: 0..<2)
    gang.hears(.helperEnded(name: "server-1", code: nil, signal: 9), from: 1)
    gang.hears(.stopping(.gangFailed), from: 1)
    let exit = NodeOutcome.RankExit(rank: 1, code: 0, signal: nil, wasTold: true)
    let helper = NodeOutcome.HelperExit(name: "server-1", code: nil, signal: 9, lastWords: "out of memory")
    gang.hears(
      .ended(NodeOutcome(stopped: nil, staging: nil, launchError: nil, exits: [exit], helpers: [helper])), from: 1)
    #expect(gang.actions.contains(.stop(nodeRanks: [0], .gangFailed)))
    gang.hears(ended([0], stopped: .gangFailed), from: 0)
    #expect(gang.outcome?.outcome == .failed)
    #expect(
      gang.outcome?.detail == "the server-1 was ended by signal 9, which Baton did not send: out of memory")
  }

  @Test func takesARankThatSavedAndLeftForNoFailure() {
    var gang = Gang(2)
    gang.runs(on: 0..<2)
    gang.hears(.rankEnded(rank: 0, code: 85, signal: nil), from: 0)
    gang.hears(.rankEnded(rank: 1, code: nil, signal: 11), from: 1)
    gang.hears(ended([85]), from: 0)
    let exit = NodeOutcome.RankExit(rank: 1, code: nil, signal: 11)
    gang.hears(.ended(NodeOutcome(stopped: nil, staging: nil, launchError: nil, exits: [exit])), from: 1)
    #expect(gang.outcome?.detail == "rank 1 was ended by signal 11, which Baton did not send")
  }

  @Test func tellsThePortsOfAllRanksInTheirOrder() {
    var gang = Gang(2)
    gang.hears(.staged(port: 7001, bytes: .zero, took: .zero, rankPorts: [8002, 8003]), from: 1)
    gang.hears(.staged(port: 7000, bytes: .zero, took: .zero, rankPorts: [8000, 8001]), from: 0)
    #expect(gang.actions == [.launch(LaunchNotice(masterPort: 7000, rankPorts: [8000, 8001, 8002, 8003]))])
  }

  @Test func tellsNoPortsOfRanksWhereANodeKnowsNone() {
    var gang = Gang(2)
    gang.hears(.staged(port: 7000, bytes: .zero, took: .zero, rankPorts: [8000]), from: 0)
    gang.hears(.staged(port: 7001, bytes: .zero, took: .zero), from: 1)
    #expect(gang.actions == [.launch(LaunchNotice(masterPort: 7000))])
  }

  /// A controller that takes over hears of it again, and the node starts it once.
  @Test func passesOnWhichDaemonIsWantedOnAnotherNode() {
    var gang = Gang(2)
    gang.hears(.mpiDaemonWanted(nodeRank: 1, command: ["orted"]), from: 0)
    gang.hears(.mpiDaemonWanted(nodeRank: 2, command: ["orted"]), from: 0)
    #expect(gang.actions == [.startMPIDaemon(nodeRank: 1, command: ["orted"])])
  }

  @Test func tellsWherePeersServeOnceEveryNodeHasSaid() {
    var gang = Gang(3)
    gang.hears(.serving(port: 4001), from: 1)
    gang.hears(.serving(port: 4000), from: 0)
    #expect(gang.actions.isEmpty)
    // It had all, and an agent that serves nothing: it is not waited for.
    gang.hears(.staged(port: 7002, bytes: .zero, took: .zero), from: 2)
    #expect(gang.actions == [.tellPeers(ports: [4000, 4001, nil])])
    gang.hears(.serving(port: 4000), from: 0)
    #expect(gang.actions.count == 1)
  }

  @Test func tellsNothingOfPeersWhereNobodyServesOrAllIsStaged() {
    var gang = Gang(2)
    for rank in 0...1 { gang.hears(.staged(port: 7000, bytes: .zero, took: .zero), from: rank) }
    #expect(gang.actions == [.launch(LaunchNotice(masterPort: 7000))])
    var alone = Gang(1)
    alone.hears(.serving(port: 4000), from: 0)
    #expect(alone.actions.isEmpty)
  }

  @Test func runsWhenEveryNodeHasStartedItsRanks() {
    var gang = Gang(2)
    for rank in 0...1 { gang.hears(.staged(port: 7000, bytes: .zero, took: .zero), from: rank) }
    gang.hears(.launched(pids: [10]), from: 0)
    #expect(!gang.actions.contains(.running))
    gang.hears(.launched(pids: [11]), from: 1)
    #expect(gang.actions.last == .running)
  }

  @Test func launchesTheRestWhenItTakesOverInTheMiddleOfALaunch() {
    var gang = Gang(2)
    gang.hears(.staged(port: 7000, bytes: .zero, took: .zero), from: 0)
    gang.hears(.launched(pids: [10]), from: 0)
    gang.hears(.staged(port: 7001, bytes: .zero, took: .zero), from: 1)
    #expect(gang.actions == [.launch(LaunchNotice(masterPort: 7000))])
  }

  @Test func isSettledOnlyWhenEveryNodeToldItsEnd() {
    var gang = Gang(2)
    gang.runs(on: 0..<2)
    gang.hears(ended([0]), from: 0)
    #expect(!gang.state.isSettled(after: .completed))
    var other = gang
    other.actions += other.state.lost(nodeRank: 1, "gone")
    #expect(other.state.isOver && !other.state.isSettled(after: .completed))
    gang.hears(ended([0]), from: 1)
    #expect(gang.state.isSettled(after: .completed))
  }

  @Test func isNotSettledWhereAnUploadMayHaveBeenCutOff() {
    var gang = Gang(1)
    gang.runs(on: 0..<1)
    gang.hears(.checkpointLocal(step: 1, bytes: .zero), from: 0)
    gang.hears(.checkpointLocal(step: 2, bytes: .zero), from: 0)
    gang.hears(.checkpointStored(stored(2)), from: 0)
    var cut = gang
    gang.hears(ended([85]), from: 0)
    #expect(gang.state.isSettled(after: .saved))
    #expect(!gang.state.isSettled(after: .leaseEnded))
    cut.hears(.checkpointLocal(step: 3, bytes: .zero), from: 0)
    cut.hears(ended([85]), from: 0)
    #expect(!cut.state.isSettled(after: .saved))
  }

  @Test func addsUpStagingOverNodes() throws {
    var gang = Gang(2)
    gang.hears(.staging(done: .mebibytes(1), total: .mebibytes(4)), from: 0)
    let progress = try #require(gang.state.staging)
    #expect(progress.done == .mebibytes(1))
    #expect(progress.total == .mebibytes(5))
    for rank in 0...1 { gang.hears(.staged(port: 7000, bytes: .zero, took: .zero), from: rank) }
    #expect(gang.state.staging == nil)
  }

  @Test func stopsTheOthersOnceWhenARankFails() {
    var gang = Gang(3)
    gang.runs(on: 0..<3)
    gang.hears(ended([1]), from: 1)
    #expect(gang.actions == [.stop(nodeRanks: [0, 2], .gangFailed)])
    gang.hears(ended([75]), from: 0)
    gang.hears(ended([85], stopped: .gangFailed), from: 2)
    #expect(gang.outcome?.outcome == .failed)
    #expect(gang.outcome?.exitCode == 1)
  }

  @Test func letsTheOthersFinishWhenANodeIsDone() {
    var gang = Gang(2)
    gang.runs(on: 0..<2)
    gang.hears(ended([0]), from: 0)
    #expect(gang.actions.isEmpty)
    gang.hears(ended([0]), from: 1)
    #expect(gang.outcome?.outcome == .completed)
  }

  @Test func launchesTheRestWhenSomeHaveEndedAlready() {
    var gang = Gang(2)
    gang.hears(.staged(port: 7000, bytes: .zero, took: .zero), from: 0)
    gang.hears(.launched(pids: [1]), from: 0)
    gang.hears(ended([0]), from: 0)
    gang.hears(.staged(port: 7001, bytes: .zero, took: .zero), from: 1)
    #expect(gang.actions == [.launch(LaunchNotice(masterPort: 7000))])
  }

  @Test func aNodeThatCannotBeReachedWhileTheRanksAreStartedIsGivenUp() {
    var gang = Gang(2)
    for rank in 0...1 { gang.hears(.staged(port: 7000, bytes: .zero, took: .zero), from: rank) }
    gang.hears(.launched(pids: [1]), from: 0)
    gang.actions = gang.state.outOfReach(nodeRank: 1, isRunning: false, isPatienceOver: false, "n1 does not answer")
    #expect(gang.actions.isEmpty)
    gang.actions += gang.state.outOfReach(nodeRank: 1, isRunning: false, isPatienceOver: true, "n1 does not answer")
    #expect(gang.actions == [.stop(nodeRanks: [0], .gangFailed)])
    // The rendezvous of an innocent program timed out meanwhile.
    gang.hears(ended([1]), from: 0)
    #expect(gang.outcome?.outcome == .lost)
    #expect(gang.outcome?.detail.contains("n1 does not answer") == true)
    gang.actions = gang.state.outOfReach(nodeRank: 1, isRunning: false, isPatienceOver: true, "n1 does not answer")
    #expect(gang.actions.isEmpty)
  }

  @Test func aNodeThatWasOutOfReachUntilItsPeersGaveUpIsToBlame() {
    var gang = Gang(2)
    for rank in 0...1 { gang.hears(.staged(port: 7000, bytes: .zero, took: .zero), from: rank) }
    gang.hears(.launched(pids: [1]), from: 0)
    gang.actions = gang.state.outOfReach(nodeRank: 1, isRunning: false, isPatienceOver: false, "n1 does not answer")
    gang.hears(ended([1]), from: 0)
    gang.hears(ended([], stopped: .gangFailed), from: 1)
    #expect(gang.outcome?.outcome == .lost)
    #expect(gang.outcome?.detail.contains("n1 does not answer") == true)
  }

  @Test func aNodeThatWasReachedInTheEndIsNot() {
    var gang = Gang(2)
    for rank in 0...1 { gang.hears(.staged(port: 7000, bytes: .zero, took: .zero), from: rank) }
    gang.hears(.launched(pids: [1]), from: 0)
    gang.actions = gang.state.outOfReach(nodeRank: 1, isRunning: false, isPatienceOver: false, "n1 does not answer")
    gang.hears(.launched(pids: [1]), from: 1)
    gang.hears(ended([1]), from: 0)
    gang.hears(ended([15], stopped: .gangFailed), from: 1)
    #expect(gang.outcome?.outcome == .failed)
  }

  @Test func ranksThatRunNeedNobodyWhoReachesThem() {
    var gang = Gang(2)
    gang.runs(on: 0..<2)
    gang.actions = gang.state.outOfReach(nodeRank: 1, isRunning: true, isPatienceOver: true, "no answer")
    #expect(gang.actions.isEmpty)
    // A controller that took over has heard nothing of that node yet.
    var anew = Gang(2)
    anew.hears(.launched(pids: [1]), from: 0)
    anew.actions = anew.state.outOfReach(nodeRank: 1, isRunning: true, isPatienceOver: true, "no answer")
    #expect(anew.actions.isEmpty)
    // Once a peer has failed there is nothing left to wait for.
    gang.hears(ended([1]), from: 0)
    gang.actions += gang.state.outOfReach(nodeRank: 1, isRunning: true, isPatienceOver: true, "no answer")
    #expect(gang.outcome?.outcome == .lost)
  }

  @Test func endsOnlyOnce() {
    var gang = Gang(1)
    gang.runs(on: 0..<1)
    gang.hears(ended([0]), from: 0)
    gang.hears(ended([1]), from: 0)
    gang.actions += gang.state.lost(nodeRank: 0, "gone")
    #expect(gang.actions.count == 1)
  }

  @Test func replayingAJournalComesToTheSameState() {
    var first = Gang(1)
    let story: [AgentEvent] = [
      .accepted(pid: 1, bootID: "b"), .staging(done: .zero, total: .mebibytes(1)),
      .staged(port: 7000, bytes: .zero, took: .zero), .launched(pids: [2]), .stopping(.leaseEnd),
    ]
    for event in story { first.hears(event, from: 0) }
    var second = Gang(1)
    for event in story { second.hears(event, from: 0) }
    #expect(first.state == second.state)
    #expect(first.actions == second.actions)
  }

  @Test func ignoresNodesItDoesNotHave() {
    var gang = Gang(1)
    gang.hears(ended([0]), from: 5)
    #expect(gang.actions.isEmpty)
  }
}

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

  @Test func zeroAfterItWasToldIsNoEndOfAProgramThatKnowsNoCodes() {
    func ends(wasTold: Bool) -> GangOutcome? {
      var end = NodeOutcome(
        stopped: .leaseEnd, staging: nil, launchError: nil,
        exits: [.init(rank: 0, code: 0, signal: nil, wasTold: wasTold)])
      end.knowsNoCodes = true
      return outcome(.ended(end))
    }
    #expect(ends(wasTold: true)?.outcome == .leaseEnded)
    #expect(ends(wasTold: false)?.outcome == .completed)
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
