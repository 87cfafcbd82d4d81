import Wire

/// What the journal of a supervisor that died says about what it left.
struct Remains: Hashable {
  /// Steps that were complete on the disk and came to no end, oldest first.
  private(set) var steps: [Int]
  /// How the attempt ended on this node; `lost` where a rank died with the supervisor.
  private(set) var outcome: NodeOutcome

  /// Reads `history`, of a node where `ranks` were to run.
  init(of history: [AgentEvent], ranks: [Int]) {
    var open: Set<Int> = []
    var exits: [NodeOutcome.RankExit] = []
    var stopped: StopCause?
    var wasTold = false
    for event in history {
      switch event {
      case .checkpointLocal(let step, _): open.insert(step)
      case .checkpointStored(let checkpoint): open = open.filter { $0 > checkpoint.step }
      case .checkpointRejected(let step, _): open.remove(step)
      case .stopping(let cause):
        // Where a rank of this node failed before, the others were told because of it.
        if exits.allSatisfy({ $0.code == 0 }) { stopped = stopped ?? cause }
        wasTold = true
      case .rankEnded(let rank, let code, let signal):
        exits.append(.init(rank: rank, code: code, signal: signal, wasTold: wasTold))
      default: continue
      }
    }
    steps = open.sorted()
    let died = Set(ranks).subtracting(exits.map(\.rank)).sorted()
    outcome = NodeOutcome(
      stopped: stopped, staging: nil, launchError: nil, lost: died.isEmpty ? nil : "its supervisor was killed",
      exits: exits.sorted { $0.rank < $1.rank })
  }
}
