import Domain
import Testing
import Wire

@testable import Launching

/// A gang whose chief, rank 0 on node 0, decides: workers and servers never end by themselves.
@Suite struct GangChiefTests {
  private struct Gang {
    var state: GangState
    var actions: [GangState.Action] = []

    init(_ count: Int) {
      state = GangState(nodeCount: count, stagingTotal: .zero, chiefDecides: true)
      for node in 0..<count { hears(.staged(port: 7000, bytes: .zero, took: .zero), from: node) }
      for node in 0..<count { hears(.launched(pids: [1]), from: node) }
      actions = []
    }

    mutating func hears(_ event: AgentEvent, from node: Int) { actions += state.received(event, from: node) }

    var outcome: GangOutcome? {
      for case .finish(let outcome) in actions { return outcome }
      return nil
    }
  }

  private static func ended(
    _ rank: Int, code: Int32? = nil, signal: Int32? = nil, told: Bool = false, stopped: StopCause? = nil
  ) -> AgentEvent {
    let exit = NodeOutcome.RankExit(rank: rank, code: code, signal: signal, wasTold: told)
    return .ended(NodeOutcome(stopped: stopped, staging: nil, launchError: nil, exits: [exit]))
  }

  @Test(arguments: [0, 1, 85] as [Int32])
  func theOthersAreStoppedOnceTheChiefIsGoneWhateverItSays(code: Int32) {
    var gang = Gang(3)
    gang.hears(.rankEnded(rank: 0, code: code, signal: nil), from: 0)
    #expect(gang.actions == [.stop(nodeRanks: [1, 2], .chiefGone)])
    gang.hears(Self.ended(0, code: code), from: 0)
    gang.hears(.stopping(.chiefGone), from: 1)
    gang.hears(.rankEnded(rank: 1, code: nil, signal: 9), from: 1)
    #expect(gang.actions.filter { if case .stop(_, .chiefGone) = $0 { true } else { false } }.count == 1)
    #expect(!gang.actions.contains(.leaving))
  }

  @Test func isDoneWhenTheChiefIsThoughAllOthersWereKilled() {
    var gang = Gang(2)
    gang.hears(.rankEnded(rank: 0, code: 0, signal: nil), from: 0)
    gang.hears(Self.ended(0, code: 0), from: 0)
    gang.hears(.rankEnded(rank: 1, code: nil, signal: 9), from: 1)
    gang.hears(Self.ended(1, signal: 9, told: true, stopped: .chiefGone), from: 1)
    #expect(gang.actions.count == 2, "nobody is stopped because of who was told to: \(gang.actions)")
    #expect(gang.outcome?.outcome == .completed)
    #expect(gang.outcome?.detail == "the chief, rank 0, ended with 0")
  }

  @Test func aWorkersEndWithZeroIsNotTheEnd() {
    var gang = Gang(2)
    gang.hears(.rankEnded(rank: 1, code: 0, signal: nil), from: 1)
    gang.hears(Self.ended(1, code: 0), from: 1)
    #expect(gang.actions.isEmpty)
  }

  @Test(
    arguments: [
      // The chief saved and left, the others were ended because it had, or because the grace was over.
      (
        ended(0, code: 85, told: true, stopped: .leaseEnd), ended(1, signal: 9, told: true, stopped: .leaseEnd),
        .leaseEnded, "the lease ended; every rank saved and left"
      ),
      (
        ended(0, signal: 9, told: true, stopped: .leaseEnd), ended(1, signal: 9, told: true, stopped: .leaseEnd),
        .leaseEnded, "the lease ended; not every rank left by itself"
      ),
      (
        ended(0, code: 0, told: true, stopped: .leaseEnd), ended(1, signal: 9, told: true, stopped: .leaseEnd),
        .completed,
        "rank 0 exited 0 after it was told to leave at the lease's end: taken as done; exit 85 to be "
          + "continued"
      ),
      // It was done, and the lease ended before anybody could tell the others.
      (
        ended(0, code: 0), ended(1, signal: 9, told: true, stopped: .leaseEnd), .completed,
        "the chief, rank 0, ended with 0"
      ),
      (ended(0, code: 0), ended(1, signal: 6), .completed, "the chief, rank 0, ended with 0"),
      (
        ended(0, code: 85), ended(1, signal: 9, told: true, stopped: .chiefGone), .saved,
        "rank 0 saved and asked to be continued (exit code 85)"
      ),
      (
        ended(0, code: 1), ended(1, signal: 9, told: true, stopped: .chiefGone), .failed,
        "rank 0 ended with exit code 1"
      ),
      // A worker died; the chief was told, and whatever it then said is no end of the run.
      (
        ended(0, code: 0, told: true, stopped: .gangFailed), ended(1, signal: 11), .failed,
        "rank 1 was ended by signal 11, which Baton did not send"
      ),
      (
        ended(0, code: 85, told: true, stopped: .gangFailed), ended(1, signal: 11), .failed,
        "rank 1 was ended by signal 11, which Baton did not send"
      ),
      (
        ended(0, code: 85, told: true, stopped: .cancelled), ended(1, signal: 9, told: true, stopped: .cancelled),
        .cancelled, "cancelled"
      ),
    ] as [(AgentEvent, AgentEvent, AttemptOutcome, String)])
  func theChiefsEndDecides(chief: AgentEvent, worker: AgentEvent, outcome: AttemptOutcome, detail: String) {
    for order in [[0, 1], [1, 0]] {
      var gang = Gang(2)
      for node in order { gang.hears(node == 0 ? chief : worker, from: node) }
      #expect(gang.outcome?.outcome == outcome, "\(order)")
      #expect(gang.outcome?.detail == detail, "\(order)")
    }
  }

  @Test func theChiefIsStoppedWhenAWorkerDies() {
    var gang = Gang(3)
    gang.hears(Self.ended(2, signal: 9), from: 2)
    #expect(gang.actions == [.stop(nodeRanks: [0, 1], .gangFailed)])
    gang.hears(.rankEnded(rank: 0, code: 85, signal: nil), from: 0)
    #expect(gang.actions.last == .stop(nodeRanks: [1], .chiefGone), "until then it was left to the chief")
  }

  @Test func theOthersAreStoppedWhenTheChiefsNodeIsLost() {
    var gang = Gang(2)
    gang.actions += gang.state.lost(nodeRank: 0, "its supervisor was killed")
    #expect(gang.actions == [.stop(nodeRanks: [1], .chiefGone)])
    gang.hears(Self.ended(1, signal: 9, told: true, stopped: .chiefGone), from: 1)
    #expect(gang.outcome?.outcome == .lost)
  }

  /// A run that is done does not become LOST since a node that had nothing to say any more is gone.
  @Test func aNodeThatIsLostAfterTheChiefWasDoneChangesNothing() {
    var gang = Gang(2)
    gang.hears(.rankEnded(rank: 0, code: 0, signal: nil), from: 0)
    gang.hears(Self.ended(0, code: 0), from: 0)
    gang.actions += gang.state.outOfReach(nodeRank: 1, isRunning: true, isPatienceOver: true, "no answer")
    #expect(gang.outcome?.outcome == .completed)
  }
}
