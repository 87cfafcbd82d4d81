import Domain
import Testing
import Wire

@testable import Launching

/// A gang of `count` nodes, and what came of what its nodes said.
struct Gang {
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

/// A node's end, by the codes of its ranks.
func ended(
  _ codes: [Int32], stopped: StopCause? = nil, signal: Int32? = nil, staging: StagingFailure? = nil,
  launchError: String? = nil
) -> AgentEvent {
  var exits = codes.enumerated().map { NodeOutcome.RankExit(rank: $0.offset, code: $0.element, signal: nil) }
  if let signal { exits.append(.init(rank: codes.count, code: nil, signal: signal)) }
  return .ended(NodeOutcome(stopped: stopped, staging: staging, launchError: launchError, exits: exits))
}

/// A checkpoint in the store.
func stored(_ step: Int) -> StoredCheckpoint {
  StoredCheckpoint(
    step: step, prefix: "", manifestSHA256: "", bytes: .zero, saveTook: nil, uploadTook: .zero, isFinal: false)
}
