import Domain
import Launching
import Testing
import Wire

/// Programs that know nothing of leases and exit codes.
@Suite struct UnknowingProgramTests {
  private static func outcome(_ events: AgentEvent...) -> GangOutcome? {
    var gang = GangState(nodeCount: events.count, stagingTotal: .zero)
    var found: GangOutcome?
    for (rank, event) in events.enumerated() {
      _ = gang.received(.staged(port: 7000, bytes: .zero, took: .zero), from: rank)
      _ = gang.received(.launched(pids: [2]), from: rank)
      for case .finish(let outcome) in gang.received(event, from: rank) { found = outcome }
    }
    return found
  }

  @Test func zeroAfterItWasToldIsNoEndOfAProgramThatKnowsNoCodes() {
    func ends(wasTold: Bool) -> GangOutcome? {
      var end = NodeOutcome(
        stopped: .leaseEnd, staging: nil, launchError: nil,
        exits: [.init(rank: 0, code: 0, signal: nil, wasTold: wasTold)])
      end.knowsNoCodes = true
      return Self.outcome(.ended(end))
    }
    #expect(ends(wasTold: true)?.outcome == .leaseEnded)
    #expect(ends(wasTold: false)?.outcome == .completed)
  }

  @Test func ranksThatDieOfEachOtherAtTheLeasesEndDoNotFailWhereTheyKnowNothingOfIt() {
    func ends(knowsNoCodes: Bool) -> GangOutcome? {
      func end(_ stopped: StopCause?, _ exit: NodeOutcome.RankExit) -> AgentEvent {
        var end = NodeOutcome(stopped: stopped, staging: nil, launchError: nil, exits: [exit])
        if knowsNoCodes { end.knowsNoCodes = true }
        return .ended(end)
      }
      return Self.outcome(
        end(.leaseEnd, .init(rank: 0, code: nil, signal: 15, wasTold: true)),
        end(nil, .init(rank: 1, code: 1, signal: nil, lastWords: "Connection closed by peer")))
    }
    #expect(ends(knowsNoCodes: true)?.outcome == .leaseEnded)
    #expect(ends(knowsNoCodes: false)?.outcome == .failed)
  }
}
