import Domain
import Testing
import Wire

@testable import Launching

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
